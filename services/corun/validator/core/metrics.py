"""What is asked of the record, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validator.core.history import Validation
from corun.validator.core.movement import Movement
from corun.validator.core.refinement import Refinement


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to sum up.

    Attributes:
        platform: Only this one; None: all.
        strategy: Only this one; None: all. Comparisons are selected by the strategy that was recommended.
        recent_count: How many of the validations recorded last count as recent, in each group.
        history_size: How many of each platform's validations are looked at one by one, the newest.
        with_trends: Whether to look for trends and drift.
        with_history: Whether those validations, and refinements, are wanted themselves.
    """

    platform: str | None
    strategy: str | None
    recent_count: int
    history_size: int
    with_trends: bool
    with_history: bool


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Mean errors of a group of validations; what has no error is skipped.

    Attributes:
        average: Over the whole group.
        recent: Over its newest.
        earlier: Over as many that came before those.
        bias: With signs, over the whole group.
        recent_bias: With signs, over its newest.
        movements: How errors move, by figure; empty where that was not asked for.
    """

    validation_count: int
    average: ErrorRates
    recent: ErrorRates
    earlier: ErrorRates
    bias: SignedErrors
    recent_bias: SignedErrors
    movements: Mapping[str, Movement] = field(default_factory=dict)


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
    history: Sequence[Validation] = ()
    refinements: Sequence[Refinement] = ()
