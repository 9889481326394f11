"""One SQLite file, written and read by one thread, many jobs in one transaction."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from corun.errors import DatabaseLocked, StoreFailed

_T = TypeVar("_T")
_LOCK_SECONDS = 2.0
_MAX_BATCH = 256
_PATIENCE_SECONDS = 0.005


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = field(default=None)


class Transactions:
    """Carries out jobs on a thread of its own, in order, those that wait together in one transaction.

    A job that is answered survives the death of the process. One that is `durable` also survives a power cut: it costs
    one synchronisation of the disk for all that are committed with it. A job that fails leaves no trace.

    Args:
        path: The file; its folder must exist.
        schema: SQL that makes the tables where they are not there yet.

    Raises:
        DatabaseLocked: another process holds the file.
        sqlite3.DatabaseError: the file is damaged, or is no database.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._coming: list[_Job] = []
        self._hand_over_at: asyncio.Handle | None = None
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._schema = schema
        self._durable: bool | None = None
        self._thread = threading.Thread(target=self._run, name="orchestrator-store", daemon=True)

    async def open(self) -> None:
        """Opens the file and starts the thread."""
        self._thread.start()
        await self._opened

    def submit(
        self, work: Callable[[sqlite3.Connection], _T], *, durable: bool = False, patient: bool = False
    ) -> asyncio.Future[_T]:
        """Queues a job; the future has its result once it is committed, or StoreFailed. A patient one may wait some
        milliseconds for others to be committed with."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._coming.append(_Job(work, durable, future))
        # What is submitted in one turn of the loop wakes the thread once.
        if not patient:
            self._schedule(self._loop.call_soon)
        elif self._hand_over_at is None:
            self._schedule(partial(self._loop.call_later, _PATIENCE_SECONDS))
        return future

    async def close(self) -> None:
        """Carries out what waits and lets go of the file. Jobs submitted afterwards never end."""
        self._hand_over()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _schedule(self, call: Callable[[Callable[[], None]], asyncio.Handle]) -> None:
        self._unschedule()
        self._hand_over_at = call(self._hand_over)

    def _unschedule(self) -> None:
        if self._hand_over_at is not None:
            self._hand_over_at.cancel()
            self._hand_over_at = None

    def _hand_over(self) -> None:
        self._unschedule()
        coming, self._coming = self._coming, []
        self._jobs.put(coming)

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            self._tell(partial(self._opened.set_exception, error))
            return
        self._tell(lambda: self._opened.set_result(None))
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(connection, batch)
                self._tell(partial(_answer, batch))
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA foreign_keys=ON")
            _check(connection)
            connection.executescript(self._schema)
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" in str(error):
                raise DatabaseLocked(str(self._path), "another orchestrator") from error
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _next_batch(self) -> list[_Job] | None:
        batch = self._jobs.get()
        while batch is not None and len(batch) < _MAX_BATCH:
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._jobs.put(None)
                break
            batch.extend(following)
        return batch

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            self._synchronise(connection, durable=any(job.durable for job in batch))
            connection.execute("BEGIN IMMEDIATE")
            if len(batch) == 1:  # by itself it needs no savepoint
                batch[0].result = batch[0].work(connection)
            else:
                for job in batch:
                    self._try(connection, job)
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = job.error or self._failure(error)

    def _try(self, connection: sqlite3.Connection, job: _Job) -> None:
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            job.error = self._failure(error)
            if not connection.in_transaction:  # a full disk ends the whole transaction
                raise
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def _synchronise(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        if durable is not self._durable:
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _failure(self, error: Exception) -> Exception:
        return StoreFailed(str(self._path), str(error)) if isinstance(error, sqlite3.Error) else error

    def _tell(self, call: Callable[[], None]) -> None:
        # A loop that was closed has nobody left to tell.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _answer(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():  # whoever waited was cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
