"""Temporary files of browsers: a folder for each, so that those of killed browsers do not pile up.

Only the profile lies elsewhere: Playwright makes it, and removes it unless it is killed itself. A link in the
browser's folder says where it is.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

_PROFILE = "profile"
_PROFILE_ARGUMENTS = ("--user-data-dir", "--profile")


def make_folder(pool_id: str, connection_id: str) -> Path:
    """A new folder for a browser, which nobody else may read."""
    folder = Path(tempfile.gettempdir()) / f"corun-{pool_id}-{connection_id}"
    folder.mkdir(mode=0o700)
    return folder


def folders(pool_id: str) -> list[Path]:
    """The folders of all browsers of a pool."""
    return list(Path(tempfile.gettempdir()).glob(f"corun-{pool_id}-*"))


def note_profile(folder: Path, main: psutil.Process) -> None:
    """Remembers where a browser has its profile. Idempotent; one that is gone has taken its secret along."""
    with suppress(psutil.Error, OSError):
        words = [part for word in main.cmdline() for part in word.split("=", 1)]
        places = [after for before, after in itertools.pairwise(words) if before in _PROFILE_ARGUMENTS]
        if places:
            (folder / _PROFILE).symlink_to(places[0])


def remove(folder: Path) -> None:
    """Removes a browser's folder and its profile. What is being written this moment may stay."""
    link = folder / _PROFILE
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
