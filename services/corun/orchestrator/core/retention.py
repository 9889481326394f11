"""Which executions that have ended are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """An execution that has ended: when (seconds since the epoch), and the bytes of its events."""

    execution_id: str
    end_time: float
    size_bytes: int


def outdated(kept: Sequence[Kept], *, now: float, max_age_seconds: float, max_bytes: int) -> list[str]:
    """Ids of those that ended too long ago, and of the oldest until the rest fits into `max_bytes`."""
    found = []
    total = sum(each.size_bytes for each in kept)
    for each in sorted(kept, key=lambda one: one.end_time):
        if now - each.end_time > max_age_seconds or total > max_bytes:
            found.append(each.execution_id)
            total -= each.size_bytes
    return found
