"""Workloads under a strategy: what was predicted, out of what, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corun.accuracy.core.design import Workload
from corun.orchestrator.core.comparison import median_figures
from corun.orchestrator.core.terms import Figures, Goal, Strategy

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a plan before it runs, for predictors to compare with.

    Attributes:
        strategy: The strategy that the plan carries out.
        solo_ms: Time of each run if it had the machine to itself, milliseconds.
        longest_ms: Sum over stages of the longest solo time, milliseconds.
        item_count: Items of the workload.
        model_count: Models of the workload.
        alone_mb: Sum of what each model takes alone, megabytes, each counted once.
        lane_count: Lanes of the plan.
    """

    strategy: Strategy
    solo_ms: tuple[float, ...]
    longest_ms: float
    item_count: int
    model_count: int
    alone_mb: float
    lane_count: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Predicted figures with their intervals, the features of the plan, and the parts of the prediction by name."""

    figures: Figures
    intervals: Mapping[Goal, Interval]
    features: Features
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Execution:
    """A workload that was learnt from."""

    workload: Workload
    forecast: Forecast
    measured: Figures


@dataclass(frozen=True, slots=True)
class Point:
    """A held-out workload under one strategy, measured several times after it was predicted.

    `unseen` is true where it has the model that training did without.
    """

    workload: Workload
    unseen: bool
    forecast: Forecast
    repeats: tuple[Figures, ...]

    @property
    def strategy(self) -> Strategy:
        """The strategy."""
        return self.forecast.features.strategy

    @property
    def measured(self) -> Figures:
        """The median of each figure."""
        return median_figures(self.repeats)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A held-out workload: the strategy recommended for latency, and a point for every strategy."""

    recommended: Strategy
    points: tuple[Point, ...]
