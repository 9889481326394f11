"""How each engine, and each platform in it, has done lately."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from corun.resource_pool.core.breaker import Breaker


@dataclass(slots=True)
class PlatformHealth:
    """A breaker for every engine as a whole and for every platform of it.

    Attributes:
        clock: Gives monotonic seconds.
        on_change: Told in words when one goes out of service or comes back.
    """

    clock: Callable[[], float] = time.monotonic
    on_change: Callable[[str], None] = lambda _change: None
    _breakers: dict[tuple[str, str], Breaker] = field(default_factory=dict)

    def note_failure(self, engine: str, cause: str, *, platform: str = "") -> None:
        """An engine could not be started or died; with a platform: that could not be used in it."""
        breaker = self._breakers.setdefault((engine, platform), Breaker())
        was_open = breaker.is_open
        breaker.note_failure(cause, self.clock())
        if breaker.is_open and not was_open:
            self.on_change(f"{_name(engine, platform)} is degraded: {cause}")

    def note_success(self, engine: str, platform: str) -> None:
        """A run came to its end there."""
        for key in ((engine, ""), (engine, platform)):
            breaker = self._breakers.get(key)
            if breaker is not None and breaker.failure_count:
                if breaker.is_open:
                    self.on_change(f"{_name(*key)} works again")
                breaker.note_success()

    def problem(self, engine: str, platform: str) -> str:
        """Why it should be left alone for now; empty when it may be used."""
        breaker = self.worst(engine, platform)
        if breaker is None or breaker.allows(self.clock()):
            return ""
        seconds = max(0.0, breaker.retry_at - self.clock())
        return (
            f"{engine} failed {breaker.failure_count} times in a row ({breaker.cause}); tried again in {seconds:.0f} s"
        )

    def worst(self, engine: str, platform: str) -> Breaker | None:
        """The open breaker that keeps it out of service longest; None when it is in service."""
        keys = ((engine, ""), (engine, platform))
        found = [breaker for key in keys if (breaker := self._breakers.get(key)) is not None and breaker.is_open]
        return max(found, key=lambda breaker: breaker.retry_at, default=None)

    def retry_after_seconds(self, engine: str, platform: str) -> float:
        """When it may be tried again, from now."""
        breaker = self.worst(engine, platform)
        return max(0.0, breaker.retry_at - self.clock()) if breaker is not None else 0.0


def _name(engine: str, platform: str) -> str:
    return f"{platform} in {engine}" if platform else engine
