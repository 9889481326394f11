"""How many held-out workloads are measured in turn, while their browsers stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from corun.orchestrator.core.terms import Strategy

# What a browser with the default models takes, idle size included, megabytes.
_BROWSER_MB = 600.0
_MOST_CONNECTIONS = 12

_T = TypeVar("_T")


def connections_for(memory_mb: float) -> int:
    """Browsers that fit into half of a machine's memory, at least one for each strategy.

    A point whose browser is still there is measured again in a fraction of the time.
    """
    return min(_MOST_CONNECTIONS, max(len(Strategy), int(memory_mb / 2 / _BROWSER_MB)))


def blocks(workloads: Sequence[_T], *, max_connections: int) -> list[Sequence[_T]]:
    """The workloads in blocks whose points, one for each strategy, find a browser each."""
    size = max(1, max_connections // len(Strategy))
    return [workloads[start : start + size] for start in range(0, len(workloads), size)]
