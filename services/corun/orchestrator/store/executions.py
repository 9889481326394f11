"""Executions and their events on disk."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from corun.orchestrator.core.retention import Kept, outdated
from corun.orchestrator.store.outbox import OutboxEntry, enqueue
from corun.orchestrator.store.transactions import Transactions

RUNNING = 1
"""Number of EXECUTION_STATE_RUNNING."""

_COLUMNS = (
    "number, execution_id, kind, state, request_id, digest, client_id, workload, platform, create_time, end_time, "
    "last_sequence"
)


@dataclass(frozen=True, slots=True)
class Row:
    """An execution as kept. Times are seconds since the epoch; `kind` and `state` are numbers of their enums."""

    number: int
    execution_id: str
    kind: int
    state: int
    request_id: str
    digest: bytes
    client_id: str
    workload: bytes
    platform: int
    create_time: float
    end_time: float | None
    last_sequence: int


class ExecutionLog:
    """Keeps executions. Every method that writes raises StoreFailed when the disk refuses; nothing is half-written."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(
        self,
        *,
        execution_id: str,
        kind: int,
        request_id: str,
        digest: bytes,
        client_id: str,
        workload: bytes,
        platform: int,
        first_event: bytes,
    ) -> Row:
        """Keeps a new execution that runs, with its first event."""
        now = time.time()

        def work(connection: sqlite3.Connection) -> Row:
            values = (execution_id, kind, RUNNING, request_id, digest, client_id, workload, platform, now, 1)
            cursor = connection.execute(
                "INSERT INTO executions (execution_id, kind, state, request_id, digest, client_id, workload, platform, "
                "create_time, last_sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = cursor.lastrowid
            assert number is not None
            connection.execute("INSERT INTO events VALUES (?, 1, ?)", (number, first_event))
            return Row(
                number, execution_id, kind, RUNNING, request_id, digest, client_id, workload, platform, now, None, 1
            )

        return await self._transactions.submit(work)

    def append(self, number: int, sequence: int, payload: bytes) -> asyncio.Future[None]:
        """Queues an event; the future is done when it is kept."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO events VALUES (?, ?, ?)", (number, sequence, payload))

        return self._transactions.submit(work, patient=True)

    async def settle(
        self, number: int, *, outcome: bytes, entries: Sequence[OutboxEntry], platform: str = ""
    ) -> list[int]:
        """Keeps, all or nothing, how an execution that runs will end and what the validator is to be told of it; gives
        the positions of that. With `platform` one more execution is counted there."""

        def work(connection: sqlite3.Connection) -> list[int]:
            connection.execute("UPDATE executions SET outcome = ? WHERE number = ?", (outcome, number))
            return _settled(connection, entries, platform)

        return await self._transactions.submit(work)

    async def end(
        self,
        number: int,
        *,
        state: int,
        sequence: int,
        payload: bytes,
        durable: bool,
        entries: Sequence[OutboxEntry] = (),
        platform: str = "",
    ) -> list[int]:
        """Keeps the terminal event of an execution. Where it was not settled before, all or nothing with what is to
        follow from it; as `settle`."""
        now = time.time()

        def work(connection: sqlite3.Connection) -> list[int]:
            connection.execute("INSERT INTO events VALUES (?, ?, ?)", (number, sequence, payload))
            connection.execute(
                "UPDATE executions SET state = ?, end_time = ?, last_sequence = ?, outcome = NULL, size_bytes = "
                "(SELECT sum(length(payload)) FROM events WHERE events.number = executions.number) WHERE number = ?",
                (state, now, sequence, number),
            )
            return _settled(connection, entries, platform)

        return await self._transactions.submit(work, durable=durable)

    async def find(self, execution_id: str) -> Row | None:
        """The execution of an id."""
        return await self._one("execution_id = ?", execution_id)

    async def find_request(self, request_id: str) -> Row | None:
        """The execution that a request_id became."""
        return await self._one("request_id = ?", request_id)

    async def events(self, number: int, *, after: int, limit: int) -> list[bytes]:
        """Events of an execution after a sequence, in order."""

        def work(connection: sqlite3.Connection) -> list[bytes]:
            found = connection.execute(
                "SELECT payload FROM events WHERE number = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                (number, after, limit),
            )
            return [payload for (payload,) in found]

        return await self._transactions.submit(work)

    async def newest(self, *, state: int, before: int, limit: int) -> list[Row]:
        """The newest executions with a number under `before`; `state` 0 is any."""

        def work(connection: sqlite3.Connection) -> list[Row]:
            clause, values = ("AND state = ?", (before, state, limit)) if state else ("", (before, limit))
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM executions WHERE number < ? {clause} ORDER BY number DESC LIMIT ?", values
            )
            return [Row(*each) for each in found]

        return await self._transactions.submit(work)

    async def unfinished(self) -> list[tuple[Row, bytes | None]]:
        """Executions that are kept as running, oldest first, with the last sequence that is on disk, and how they will
        end where that is settled."""

        def work(connection: sqlite3.Connection) -> list[tuple[Row, bytes | None]]:
            columns = _COLUMNS.replace("last_sequence", "")
            found = connection.execute(
                f"SELECT {columns} (SELECT max(sequence) FROM events WHERE events.number = executions.number), outcome "
                "FROM executions WHERE state = ? ORDER BY number",
                (RUNNING,),
            )
            return [(Row(*each[:-1]), each[-1]) for each in found]

        return await self._transactions.submit(work)

    async def prune(self, *, max_age_seconds: float, max_bytes: int) -> int:
        """Forgets executions that ended too long ago, and the oldest until the rest fits; gives how many."""

        def work(connection: sqlite3.Connection) -> int:
            found = connection.execute(
                "SELECT execution_id, end_time, size_bytes FROM executions WHERE end_time IS NOT NULL"
            )
            gone = outdated(
                [Kept(*each) for each in found],
                now=time.time(),
                max_age_seconds=max_age_seconds,
                max_bytes=max_bytes,
            )
            connection.executemany("DELETE FROM executions WHERE execution_id = ?", [(each,) for each in gone])
            return len(gone)

        return await self._transactions.submit(work)

    async def execution_counts(self) -> dict[str, int]:
        """Executions that were settled, by platform."""

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            return dict(connection.execute("SELECT platform, execution_count FROM counters"))

        return await self._transactions.submit(work)

    async def _one(self, clause: str, value: str) -> Row | None:
        def work(connection: sqlite3.Connection) -> Row | None:
            found = connection.execute(f"SELECT {_COLUMNS} FROM executions WHERE {clause}", (value,)).fetchone()
            return Row(*found) if found else None

        return await self._transactions.submit(work)


def _settled(connection: sqlite3.Connection, entries: Sequence[OutboxEntry], platform: str) -> list[int]:
    if platform:
        connection.execute(
            "INSERT INTO counters VALUES (?, 1) "
            "ON CONFLICT (platform) DO UPDATE SET execution_count = execution_count + 1",
            (platform,),
        )
    return [enqueue(connection, entry) for entry in entries]
