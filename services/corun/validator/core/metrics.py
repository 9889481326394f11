"""What is asked of the record, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from corun.validator.core.error_rates import ErrorRates


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to sum up.

    Attributes:
        platform: Only this one; None: all.
        strategy: Only this one; None: all. Comparisons are selected by the strategy that was recommended.
        recent_count: How many of the validations recorded last count as recent, in each group.
    """

    platform: str | None
    strategy: str | None
    recent_count: int


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Mean errors of a group of validations, over all of it and over its newest; what has no error is skipped."""

    validation_count: int
    average: ErrorRates
    recent: ErrorRates


@dataclass(frozen=True, slots=True)
class OptimizationImpact:
    """What choosing a strategy was worth.

    Attributes:
        average_improvement_percent: Gain of the recommended strategy over the mean of all; None without comparisons.
        recommendation_accuracy: Share of comparisons whose recommendation was best, 0 to 1; None without comparisons.
        best_strategy_counts: How often each strategy was best, by its name.
    """

    comparison_count: int
    average_improvement_percent: float | None
    recommendation_accuracy: float | None
    best_strategy_counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The record in figures, all of one moment."""

    execution_count: int
    overall: ErrorSummary
    by_platform: dict[str, ErrorSummary]
    by_strategy: dict[str, ErrorSummary]
    impact: OptimizationImpact
