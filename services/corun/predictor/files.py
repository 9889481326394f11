"""Files that are whole after a crash, or not there."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Puts `content` in the place of `path`: the old file or the new one is there at any time, never a part.

    Raises:
        OSError: when the disk refuses; the old file is as it was.
    """
    os.close(replace_open(path, content))
    sync_folder(path.parent)


def replace_open(path: Path, content: bytes) -> int:
    """Puts a new file in the place of `path` and gives it, open for appending. A failure leaves the old one.

    The folder is not synchronised.
    """
    temporary = path.with_name(path.name + ".new")
    file = os.open(temporary, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(file, content)
        os.fsync(file)
        temporary.replace(path)
    except OSError:
        os.close(file)
        raise
    return file


def write_all(file: int, content: bytes) -> None:
    """Writes all of it, however many calls that takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def sync_folder(folder: Path) -> None:
    """Makes names in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_name(path: Path) -> Path:
    """A name beside `path` for setting it aside when it is damaged."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
