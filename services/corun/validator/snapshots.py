"""Copies of the record for queries: made when something was written since the last one, shared until then."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from corun.validator.database import failures_named
from corun.validator.recovery import log_path
from corun.validator.store import Store


@dataclass(slots=True)
class _Snapshot:
    path: Path
    commit_number: int
    reader_count: int = 0


class Snapshots:
    """Gives out the newest copy. A copy that nobody reads any more and that is not the newest is deleted.

    Copies are in a folder beside the database: there is as much room as for it, and a service that was killed leaves
    none behind for long.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.path.with_name(f"{store.path.name}.copies")
        self._remove_folder()
        self._newest: _Snapshot | None = None
        self._making = asyncio.Lock()
        self._made_count = 0

    @asynccontextmanager
    async def newest(self) -> AsyncIterator[Path]:
        """A copy of the record that is not older than this call.

        Raises:
            DatabaseFailed: when no copy can be made, for example because the disk is full.
        """
        async with self._making:
            snapshot = self._newest
            if snapshot is None or snapshot.commit_number != self._store.commit_number:
                snapshot = await self._made()
                previous, self._newest = self._newest, snapshot
                if previous is not None:
                    self._drop(previous)
            snapshot.reader_count += 1
        try:
            yield snapshot.path
        finally:
            snapshot.reader_count -= 1
            self._drop(snapshot)

    async def close(self) -> None:
        """Deletes every copy."""
        await asyncio.to_thread(self._remove_folder)

    async def _made(self) -> _Snapshot:
        self._made_count += 1
        # Before the copy: what is written meanwhile may or may not be in it.
        commit_number = self._store.commit_number
        path = self._folder / f"record{self._made_count}.duckdb"
        try:
            with failures_named(self._store.path):
                self._folder.mkdir(exist_ok=True)
            await asyncio.shield(self._store.copy_to(path))
        except Exception:
            _remove(path)
            raise
        return _Snapshot(path, commit_number)

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _drop(self, snapshot: _Snapshot) -> None:
        if snapshot.reader_count == 0 and snapshot is not self._newest:
            _remove(snapshot.path)


def _remove(copy: Path) -> None:
    for file in (copy, log_path(copy)):
        file.unlink(missing_ok=True)
