"""Leaves alone what failed several times in a row, for longer each time (circuit breaker, Nygard 2007)."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 30


@dataclass(slots=True)
class Breaker:
    """closed -> open after `threshold` failures in a row; after the pause one more try decides.

    Times are monotonic seconds.

    Attributes:
        failure_count: Failures since the last success.
        cause: Of the last failure.
        retry_at: When it may be tried again; 0 while it is closed.
    """

    threshold: int = 3
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0
    failure_count: int = 0
    cause: str = ""
    retry_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """True from the failure that was one too many until the next success."""
        return self.failure_count >= self.threshold

    def allows(self, now: float) -> bool:
        """True while it may be tried."""
        return not self.is_open or now >= self.retry_at

    def note_failure(self, cause: str, now: float) -> None:
        """Opens it, or keeps it open for twice as long."""
        self.failure_count += 1
        self.cause = cause
        if self.is_open:
            times = min(self.failure_count - self.threshold, _MOST_DOUBLINGS)
            self.retry_at = now + min(self.longest_pause_seconds, self.first_pause_seconds * 2.0**times)

    def note_success(self) -> None:
        """Closes it."""
        self.failure_count = 0
        self.cause = ""
        self.retry_at = 0.0
