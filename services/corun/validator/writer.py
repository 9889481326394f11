"""The one thread that writes: what waits together is committed together, and told only then."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import duckdb

from corun.errors import WriteQueueFull
from corun.validator.core.loss import HighWater
from corun.validator.database import failures_named
from corun.validator.recordings import Recorded, Recording, record_all
from corun.validator.recovery import Opened
from corun.validator.storage_state import count_commit, read_state
from corun.validator.transaction import transaction

Result = TypeVar("Result")
Work: TypeAlias = Callable[[duckdb.DuckDBPyConnection], Result]

_RETRY_SECONDS = 1.0
# So many records at most in one transaction: bounds its memory and how long the first of them waits.
_LARGEST_GROUP = 5_000


@dataclass(slots=True)
class _Pending:
    work: Work[Any] | Sequence[Recording]
    future: Future[Any] = field(default_factory=Future)

    @property
    def size(self) -> int:
        return 1 if callable(self.work) else len(self.work)


class Writer:
    """Owns the cursor that writes. A method that writes returns when its transaction and the mark are on disk.

    Cancelling one takes a write back that has not begun; one that has begun is finished.

    Args:
        opened: Database and mark; they stay the caller's to close, after `close`.
        path: Of the database, for messages.
        capacity: Most records that may wait.
    """

    def __init__(self, opened: Opened, path: Any, *, capacity: int) -> None:
        self._path = path
        self._mark = opened.mark
        self._tables = opened.tables
        self._cursor = opened.connection.cursor()
        self._state = opened.state
        self._capacity = capacity
        self._waiting_count = 0
        self._counting = threading.Lock()
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="validator-writer", daemon=True)
        self._thread.start()

    @property
    def state(self) -> HighWater:
        """As it is on disk after the newest write."""
        return self._state

    async def write(self, work: Work[Result]) -> Result:
        """Runs `work` inside a transaction. It may run twice, when others that were to be committed with it failed.

        Raises:
            WriteQueueFull: when too much waits already.
            DatabaseFailed: when DuckDB or the disk refuses; nothing is written.
        """
        result: Result = await self._submitted(_Pending(work))
        return result

    async def record(self, recordings: Sequence[Recording]) -> list[Recorded]:
        """Puts executions on record, all in one transaction; gives what became of each. Raises as `write`."""
        outcomes: list[Recorded] = await self._submitted(_Pending(recordings))
        return outcomes

    def close(self) -> None:
        """Finishes what waits, then ends the thread."""
        self._queue.put(None)
        self._thread.join()
        self._cursor.close()

    def _submitted(self, pending: _Pending) -> asyncio.Future[Any]:
        with self._counting:
            if self._waiting_count + pending.size > self._capacity:
                raise WriteQueueFull(self._capacity, retry_after_seconds=_RETRY_SECONDS)
            self._waiting_count += pending.size
        self._queue.put(pending)
        return asyncio.wrap_future(pending.future)

    def _run(self) -> None:
        ending = False
        while not ending:
            group, ending = self._next_group()
            begun = [each for each in group if each.future.set_running_or_notify_cancel()]
            if begun:
                self._finish(begun)
            with self._counting:
                self._waiting_count -= sum(each.size for each in group)

    def _next_group(self) -> tuple[list[_Pending], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        group, size = [first], first.size
        while size < _LARGEST_GROUP:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
            size += following.size
        return group, False

    def _finish(self, group: list[_Pending]) -> None:
        try:
            results = self._committed(group)
        except Exception as error:
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            # One that cannot be written must not take the others with it.
            for each in group:
                self._finish([each])
            return
        for each, result in zip(group, results, strict=True):
            each.future.set_result(result)

    def _committed(self, group: Sequence[_Pending]) -> list[Any]:
        recordings = [recording for each in group if not callable(each.work) for recording in each.work]
        with failures_named(self._path):
            with transaction(self._cursor) as cursor:
                recorded, gained = record_all(cursor, recordings) if recordings else ([], {})
                outcomes = iter(recorded)
                results = [
                    each.work(cursor) if callable(each.work) else [next(outcomes) for _ in each.work] for each in group
                ]
                count_commit(cursor)
                only_recordings = not any(callable(each.work) for each in group)
                state = self._gained(gained) if only_recordings else read_state(cursor, self._tables)
            self._state = replace(state, time=datetime.now(UTC))
            self._mark.write(self._state)
        return results

    def _gained(self, gained: Mapping[str, int]) -> HighWater:
        """The state after a commit, without counting all rows again."""
        before = self._state
        counts = {table: count + gained.get(table, 0) for table, count in before.row_counts.items()}
        return HighWater(before.database_id, before.commit_number + 1, counts)
