"""Waiting for one's turn at the browsers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from corun.orchestrator.core.fairness import FairQueue


class Turns:
    """As many turns at once as the pool has browsers, shared fairly by clients.

    Without it the pool would serve its callers in order of arrival, and a client that sends a hundred plans would keep
    all others waiting.
    """

    def __init__(self, place_count: int = 1) -> None:
        self._queue = FairQueue(place_count)
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[None]] = {}

    @property
    def running_count(self) -> int:
        """Turns that are taken."""
        return self._queue.running_count

    @property
    def waiting_count(self) -> int:
        """Turns that wait."""
        return self._queue.waiting_count

    def resize(self, place_count: int) -> None:
        """Sets how many turns there are at once, at least one. Those that are taken stay so."""
        self._queue.place_count = max(1, place_count)
        self._grant()

    def expected_wait_seconds(self) -> float:
        """How long one more turn would wait."""
        return self._queue.expected_wait_seconds()

    @asynccontextmanager
    async def turn(
        self, client: str, *, on_queued: Callable[[int, int], None], kind: Hashable = None
    ) -> AsyncIterator[float]:
        """Waits for a turn and holds it; yields the seconds it waited.

        Args:
            client: Whose turn it is.
            on_queued: Called once with the turns that wait and the places there are, if it has to wait.
            kind: What is done in it; None is like nothing else.
        """
        number, begin = next(self._numbers), time.monotonic()
        called = self._calls[number] = asyncio.get_running_loop().create_future()
        self._queue.enqueue(number, client, now=begin, kind=kind)
        is_finished = False
        try:
            self._grant()
            waited = 0.0
            if not called.done():
                on_queued(self._queue.waiting_count, self._queue.place_count)
                await called
                waited = time.monotonic() - begin
            yield waited
            is_finished = True
        finally:
            del self._calls[number]
            self._queue.leave(number, now=time.monotonic(), is_finished=is_finished)
            self._grant()

    def _grant(self) -> None:
        for number in self._queue.grant(now=time.monotonic()):
            called = self._calls[number]
            if not called.done():
                called.set_result(None)
