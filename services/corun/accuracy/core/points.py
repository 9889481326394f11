"""Workloads under a strategy: what was predicted, out of what, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from corun.accuracy.core.design import Workload
from corun.orchestrator.core.comparison import median_figures
from corun.orchestrator.core.terms import Figures, Goal, Strategy

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SoloRun:
    """A run of a plan, the threads of its lane, and its time if it had the machine to itself, milliseconds."""

    model_name: str
    batch_size: int
    lane_width: int
    solo_ms: float


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a plan before it runs, for predictors to compare with.

    Attributes:
        strategy: The strategy that the plan carries out.
        runs: The runs, in the order of the plan's stages.
        longest_ms: Sum over stages of the longest solo time, milliseconds.
        item_count: Items of the workload.
        model_count: Models of the workload.
        alone_mb: Sum of what each model takes alone, megabytes, each counted once.
        lane_count: Lanes of the plan.
    """

    strategy: Strategy
    runs: tuple[SoloRun, ...]
    longest_ms: float
    item_count: int
    model_count: int
    alone_mb: float
    lane_count: int

    @property
    def solo_sum_ms(self) -> float:
        """The runs one after another, milliseconds."""
        return sum(run.solo_ms for run in self.runs)


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
class Measured:
    """The figures of a plan that was run once, and the time of each of its runs, milliseconds, in their order."""

    figures: Figures
    run_times_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A held-out workload under one strategy, measured several times after it was predicted.

    `unseen` is true where it has the model that training did without.
    """

    workload: Workload
    unseen: bool
    forecast: Forecast
    rounds: tuple[Measured, ...]

    @property
    def strategy(self) -> Strategy:
        """The strategy."""
        return self.forecast.features.strategy

    @property
    def repeats(self) -> tuple[Figures, ...]:
        """The figures of each round."""
        return tuple(each.figures for each in self.rounds)

    @property
    def measured(self) -> Figures:
        """The median of each figure."""
        return median_figures(self.repeats)

    @property
    def run_times_ms(self) -> tuple[float, ...]:
        """The median time of each run."""
        return tuple(map(median, zip(*(each.run_times_ms for each in self.rounds), strict=True)))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A held-out workload: the strategy recommended for latency, and a point for every strategy."""

    recommended: Strategy
    points: tuple[Point, ...]
