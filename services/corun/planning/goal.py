"""What a choice of strategy is to be best at."""

from __future__ import annotations

from enum import StrEnum


class Goal(StrEnum):
    """What a choice of strategy optimises."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    MEMORY = "memory"

    @property
    def higher_is_better(self) -> bool:
        """True for throughput; latency and memory are better when lower."""
        return self is Goal.THROUGHPUT
