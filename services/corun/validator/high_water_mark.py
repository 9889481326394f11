"""The high-water mark: a small file beside the database that says how far acknowledged writes had come."""

from __future__ import annotations

import json
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path

from corun.validator.core.loss import HighWater

_SLOT_BYTES = 4096


class MarkUnreadable(Exception):
    """The file is there but holds no mark."""


def mark_path(database: Path) -> Path:
    """Where the mark of a database is."""
    return database.with_name(f"{database.name}.mark")


def read_mark(path: Path) -> HighWater | None:
    """The newest mark in the file; None when there is no file.

    Raises:
        MarkUnreadable: when neither of its two places holds a mark.
        OSError: when the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    slots = (content[:_SLOT_BYTES], content[_SLOT_BYTES : 2 * _SLOT_BYTES])
    marks = [mark for slot in slots if (mark := _decoded(slot)) is not None]
    if not marks:
        raise MarkUnreadable("is damaged")
    return max(marks, key=lambda mark: mark.commit_number)


class MarkFile:
    """Writes marks, each to the place that does not hold the one before, so that one of them is always whole.

    Raises:
        OSError: when the file cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._slot = 0

    def write(self, mark: HighWater) -> None:
        """Returns when the mark is on disk."""
        os.pwrite(self._file, _encoded(mark), self._slot * _SLOT_BYTES)
        os.fdatasync(self._file)
        self._slot = 1 - self._slot

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._file)


def _encoded(mark: HighWater) -> bytes:
    moment = mark.time or datetime.now(UTC)
    body = json.dumps(
        {
            "database_id": mark.database_id,
            "commit_number": mark.commit_number,
            "row_counts": dict(mark.row_counts),
            "time": moment.isoformat(),
        }
    ).encode()
    line = b"%08x %s" % (zlib.crc32(body), body)
    if len(line) >= _SLOT_BYTES:
        raise ValueError(f"a mark of {len(line)} bytes is too long")
    return line.ljust(_SLOT_BYTES - 1) + b"\n"


def _decoded(slot: bytes) -> HighWater | None:
    checksum, _, body = slot.strip(b"\x00 \n").partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        content = json.loads(body)
        return HighWater(
            database_id=str(content["database_id"]),
            commit_number=int(content["commit_number"]),
            row_counts={str(table): int(count) for table, count in content["row_counts"].items()},
            time=datetime.fromisoformat(content["time"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
