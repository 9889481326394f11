"""Now and then another strategy than the best by prediction, so that what was never tried can be learnt of."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from corun.orchestrator.core.choice import Choice
from corun.orchestrator.core.terms import Strategy


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure is expected."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether they have a point in common."""
        return self.low <= other.high and other.low <= self.high


class Exploration:
    """Makes a share of automatic choices try an alternative that may be as good as the best.

    Args:
        rate: The share, 0 to 1. 0 never draws.
        seed: Of the draws; None takes another one every time.
    """

    def __init__(self, rate: float, seed: int | None = None) -> None:
        self._rate = rate
        self._draw = random.Random(seed)

    def tried(self, choice: Choice, eligible: Mapping[Strategy, Interval]) -> Choice:
        """The choice, or one of an alternative whose interval overlaps that of the best.

        Args:
            choice: Of the best.
            eligible: What the goal's figure is expected to be, of the strategies that may run.
        """
        if not choice.automatic or self._rate == 0 or self._draw.random() >= self._rate:
            return choice
        best = eligible.get(choice.strategy)
        others = [
            strategy
            for strategy, interval in eligible.items()
            if best is not None and strategy is not choice.strategy and interval.overlaps(best)
        ]
        if not others:
            return choice
        other = self._draw.choice(others)
        reason = f"exploring: {other} is tried, which may be as good as {choice.strategy}; {choice.reason}"
        return replace(choice, strategy=other, reason=reason, explored=True)
