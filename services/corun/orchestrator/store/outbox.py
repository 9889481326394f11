"""What the validator is to be told, on disk until it has taken it."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

from corun.orchestrator.store.transactions import Transactions


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """The name of a call of the validator, and its request."""

    kind: str
    payload: bytes


class Outbox:
    """Entries in the order they were put in. Methods raise StoreFailed when the disk refuses."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def add(self, entry: OutboxEntry) -> int:
        """Keeps an entry; gives its position."""
        return await self._transactions.submit(lambda connection: enqueue(connection, entry))

    async def waiting(self) -> list[tuple[int, OutboxEntry]]:
        """All entries by position, the oldest first."""

        def work(connection: sqlite3.Connection) -> list[tuple[int, OutboxEntry]]:
            found = connection.execute("SELECT position, kind, payload FROM outbox ORDER BY position")
            return [(position, OutboxEntry(kind, payload)) for position, kind, payload in found]

        return await self._transactions.submit(work)

    def remove(self, position: int) -> asyncio.Future[None]:
        """Takes an entry out; the future is done when it is gone."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM outbox WHERE position = ?", (position,))

        return self._transactions.submit(work)


def enqueue(connection: sqlite3.Connection, entry: OutboxEntry) -> int:
    """Adds an entry inside a transaction; gives its position."""
    position = connection.execute(
        "INSERT INTO outbox (kind, payload) VALUES (?, ?)", (entry.kind, entry.payload)
    ).lastrowid
    assert position is not None
    return position
