"""Holds up whoever comes with a key that somebody is busy with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OneAtATime:
    """A lock for each key, there as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def holding(self, key: str) -> AsyncIterator[None]:
        """Holds the key; an empty one is nobody's."""
        if not key:
            yield
            return
        lock, count = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            _, count = self._locks[key]
            if count > 1:
                self._locks[key] = lock, count - 1
            else:
                del self._locks[key]
