"""The headless shell of Chromium that comes as an npm package: unlike the usual builds it has a WebNN backend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from corun.errors import InstallFailed
from corun.plumbing.settings import cache_folder

_PACKAGE = Path(__file__).resolve().parent
_FILES = ("package.json", "package-lock.json", ".npmrc", "unpack.mjs")
_EXECUTABLE = "chromium"
_INSTALL_SECONDS = 600.0


def _version() -> str:
    manifest = json.loads((_PACKAGE / "package.json").read_text(encoding="utf-8"))
    return str(manifest["dependencies"]["@sparticuz/chromium"])


def _folder() -> Path:
    return cache_folder() / "engines" / f"chromium-shell-{_version()}"


def find() -> Path | None:
    """The executable, once it is installed."""
    executable = _folder() / _EXECUTABLE
    return executable if os.access(executable, os.X_OK) else None


def install() -> Path:
    """Fetches the pinned package with npm, as npm is configured, and unpacks it into the cache; gives the executable.

    Does nothing when it is there. It appears as a whole or not at all.

    Raises:
        InstallFailed: with npm's last words.
    """
    found = find()
    if found is not None:
        return found
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise InstallFailed("chromium-shell", "npm and node are needed (Debian: apt install nodejs npm)")
    target = _folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as temporary:
        work, out = Path(temporary) / "package", Path(temporary) / "out"
        work.mkdir()
        out.mkdir()
        for name in _FILES:
            shutil.copyfile(_PACKAGE / name, work / name)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work, out)
        _run([node, "unpack.mjs"], work, out)
        shutil.rmtree(target, ignore_errors=True)
        out.rename(target)
    return target / _EXECUTABLE


def _run(command: list[str], folder: Path, temporary: Path) -> None:
    environment = os.environ | {"TMPDIR": str(temporary)}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallFailed("chromium-shell", f"it took longer than {_INSTALL_SECONDS:.0f} s") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise InstallFailed("chromium-shell", f"{Path(command[0]).name}: {words[-1]}")
