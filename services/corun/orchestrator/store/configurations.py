"""Changes of strategy configurations on disk."""

from __future__ import annotations

import sqlite3

from corun.orchestrator.store.transactions import Transactions

KEPT_CHANGES = 1000
"""Of each platform, the newest."""


class ConfigurationLog:
    """Keeps changes by platform; the newest one of a platform is in force. Methods raise StoreFailed when the disk
    refuses."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def add(self, platform: int, payload: bytes) -> None:
        """Keeps a change, also through a power cut."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO configuration_changes (platform, payload) VALUES (?, ?)", (platform, payload)
            )
            connection.execute(
                "DELETE FROM configuration_changes WHERE platform = ? AND number <= ("
                "SELECT number FROM configuration_changes WHERE platform = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (platform, platform, KEPT_CHANGES),
            )

        await self._transactions.submit(work, durable=True)

    async def newest(self, platform: int, *, limit: int) -> list[bytes]:
        """Changes of a platform, the newest first."""

        def work(connection: sqlite3.Connection) -> list[bytes]:
            found = connection.execute(
                "SELECT payload FROM configuration_changes WHERE platform = ? ORDER BY number DESC LIMIT ?",
                (platform, limit),
            )
            return [payload for (payload,) in found]

        return await self._transactions.submit(work)
