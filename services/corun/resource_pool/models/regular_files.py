"""Reading files that may be anything: nothing but regular files of a bounded size is ever read."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """The whole file. Links are followed: a model folder is its owner's, and so is what it points to.

    Raises:
        ValueError: as `check_regular`; or it has another length than it said, because somebody is writing it.
        OSError: it cannot be opened or read.
    """
    check_regular(path, max_bytes=max_bytes)  # before opening it: that alone sets some devices going
    # What was a file a moment ago may be a pipe by now, and opening one waits for a writer but for O_NONBLOCK.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        size = _check(os.fstat(file.fileno()), path.name, max_bytes)
        content = file.read(size)
        if len(content) != size or (size and file.read(1)):
            raise ValueError(f"{path.name} changed while it was read; try again when it is complete")
    return content


def check_regular(path: Path, *, max_bytes: int) -> int:
    """The size in bytes of what is a regular file within the limit.

    Raises:
        ValueError: a device, a pipe, a folder, or too large.
        OSError: it is not there.
    """
    return _check(path.stat(), path.name, max_bytes)


def file_stamp(path: Path) -> str:
    """Changes whenever the file does, even where its modification time is put back. Raises OSError when it is gone."""
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def _check(found: os.stat_result, name: str, max_bytes: int) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name} is not a regular file")
    if found.st_size > max_bytes:
        raise ValueError(f"{name} has {found.st_size} bytes, the limit is {max_bytes}")
    return found.st_size
