"""Tells watchers what changes in the pool; one that falls behind misses words, never the newest state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

_KEPT_WORDS = 100


@dataclass(frozen=True, slots=True)
class Change:
    """Number of the newest state, and what happened since the last one told, oldest first."""

    sequence: int
    words: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Watcher:
    words: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_WORDS))
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class ChangeFeed:
    """Any number of watchers; telling them never waits for one."""

    def __init__(self) -> None:
        self._sequence = 0
        self._watchers: set[_Watcher] = set()

    def note(self, words: str) -> None:
        """Something changed."""
        self._sequence += 1
        for watcher in self._watchers:
            watcher.words.append(words)
            watcher.changed.set()

    async def watch(self) -> AsyncGenerator[Change, None]:
        """The state at once, then after every change. Never ends by itself."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            yield Change(self._sequence, ())
            while True:
                await watcher.changed.wait()
                watcher.changed.clear()
                words = tuple(watcher.words)
                watcher.words.clear()
                yield Change(self._sequence, words)
        finally:
            self._watchers.discard(watcher)

    def __repr__(self) -> str:
        return f"<ChangeFeed {self._sequence} changes, {len(self._watchers)} watchers>"
