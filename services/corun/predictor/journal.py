"""What was learnt, on disk: a line of JSON for each lesson, appended and synchronised before it is acknowledged."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog

from corun.errors import CorunError
from corun.predictor.core.observation import Lesson
from corun.predictor.files import free_name, replace_open, sync_folder, write_all
from corun.predictor.lines import Entry, UnreadableLine, read_line, write_line

_log = structlog.get_logger(__name__)

_GROWTH_BEFORE_COMPACTION_BYTES = 4 * 1024 * 1024


class FolderHeld(CorunError):
    """Another process holds the predictor's folder."""

    reason = "DATABASE_LOCKED"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"state_folder: {str(folder)!r} is held by another predictor: use that one, or another state folder",
            metadata={"path": str(folder)},
        )


class Journal:
    """The journal of one folder, held by one process at a time. Its methods block; call them off the event loop.

    Read it once before appending to it.

    Raises:
        FolderHeld: when another process holds the folder.
        OSError: when the disk refuses. A failed append leaves no trace.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "lessons.jsonl"
        self._lock = _hold(folder / "lock")
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            os.close(self._lock)
            raise
        self._size = self._compacted_size = os.fstat(self._file).st_size
        sync_folder(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the folder."""
        os.close(self._file)
        os.close(self._lock)

    def append(self, entries: Sequence[Entry]) -> None:
        """Puts `entries` on disk: all, or none where the disk refuses. A crash may leave the first of them."""
        line = b"".join(map(write_line, entries))
        self._cut_off_failed()
        try:
            write_all(self._file, line)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                self._cut_off_failed()
            raise
        self._size += len(line)

    def is_grown(self) -> bool:
        """True when compaction is worth its while."""
        return self._size > 2 * self._compacted_size + _GROWTH_BEFORE_COMPACTION_BYTES

    def read(self) -> list[Entry]:
        """All entries, oldest first.

        Damaged lines, such as the tail of a write that a power cut ended, are moved to a file of their own. What
        is known has changed then, so an empty entry with a version of its own takes their place.
        """
        entries, damaged = [], []
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                entries.append(read_line(line))
            except UnreadableLine as error:
                damaged.append(line)
                _log.error("a damaged line is set aside", path=str(self._path), cause=str(error), byte_count=len(line))
        if damaged:
            aside = free_name(self._path)
            os.close(replace_open(aside, b"".join(damaged)))
            version = max((entry.version for entry in entries), default=0) + len(damaged)
            entries.append(Entry(version, Lesson()))
            self._rewrite(entries)
            _log.error("damaged lines are kept", path=str(aside), line_count=len(damaged), good_count=len(entries) - 1)
        return entries

    def compact(self, lessons: Sequence[Lesson], version: int) -> None:
        """Replaces the whole content, atomically, by `lessons` that teach the same."""
        self._rewrite([Entry(version, lesson) for lesson in lessons])

    def _rewrite(self, entries: Sequence[Entry]) -> None:
        content = b"".join(map(write_line, entries))
        replaced, self._file = self._file, replace_open(self._path, content)
        os.close(replaced)
        self._size = self._compacted_size = len(content)
        sync_folder(self._path.parent)

    def _cut_off_failed(self) -> None:
        """Removes what an append that failed left, or the next entry would continue a torn line."""
        if os.fstat(self._file).st_size != self._size:
            os.ftruncate(self._file, self._size)


def _hold(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise FolderHeld(path.parent) from error
    return lock
