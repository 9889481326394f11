"""Which idle browsers to give up, and when a browser has served long enough: pure choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionView


@dataclass(frozen=True, slots=True)
class RecyclingRule:
    """A browser is replaced after so many runs, or above such a size: its heaps fragment and lanes never shrink."""

    run_count: int
    memory_mb: float

    def applies(self, *, run_count: int, memory_mb: float) -> bool:
        """True for a browser that has served long enough."""
        return run_count >= self.run_count or memory_mb > self.memory_mb


def evictions(connections: Sequence[ConnectionView], *, budget_mb: float) -> tuple[str, ...]:
    """Browsers to close so that all together stay within the budget: idle ones, the least recently used first.

    The one that was used last stays, and so do those that hold shared tensors.
    """
    total = sum(connection.memory_mb for connection in connections)
    idle = sorted(
        (each for each in connections if each.state is ConnectionState.READY), key=lambda each: each.last_used
    )
    chosen: list[str] = []
    for connection in idle[:-1]:
        if total <= budget_mb:
            break
        if not connection.pinned:
            chosen.append(connection.connection_id)
            total -= connection.memory_mb
    return tuple(chosen)
