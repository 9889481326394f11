"""Strategies, goals and the three figures, by the names that people use."""

from __future__ import annotations

from dataclasses import dataclass

from corun.planning.goal import Goal
from corun.planning.planner import Strategy

__all__ = ["Figures", "Goal", "Strategy"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Latency (milliseconds), throughput (items per second) and memory (megabytes), predicted or measured."""

    latency_ms: float
    throughput_items_per_second: float
    memory_mb: float

    def of(self, goal: Goal) -> float:
        """The figure that `goal` is about."""
        match goal:
            case Goal.LATENCY:
                return self.latency_ms
            case Goal.THROUGHPUT:
                return self.throughput_items_per_second
            case Goal.MEMORY:
                return self.memory_mb
