"""When to come back to a pool that was full."""

from __future__ import annotations

_SHORTEST_SECONDS = 0.05
_LONGEST_SECONDS = 10.0


def pause_seconds(
    retry_after_seconds: float | None, *, attempt: int, remaining_seconds: float, spread: float
) -> float | None:
    """How long to wait before the next attempt; None when there is no use in one.

    Never shorter than the server said. From attempt to attempt the shortest pause doubles, up to ten seconds, so
    that a server whose estimate is wrong is not asked for ever faster than it can answer.

    Args:
        retry_after_seconds: What the server said, of RetryInfo; None where it said nothing.
        attempt: Number of the attempt that failed, from 1.
        remaining_seconds: Time that is left.
        spread: From 0 to 1, at random: up to half as long again, so that many who were refused together do not
            come back together.
    """
    if retry_after_seconds is None:
        return None
    grown = min(_LONGEST_SECONDS, _SHORTEST_SECONDS * 2 ** min(attempt - 1, 30))
    pause = max(retry_after_seconds, grown) * (1 + spread / 2)
    return pause if pause < remaining_seconds else None
