"""How strategies did against each other: order of rounds, medians, noise, ties and gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, median_low
from typing import TypeVar

from corun.orchestrator.core.choice import best_of
from corun.orchestrator.core.significance import (
    SIGNIFICANCE_LEVEL,
    PairedDifference,
    is_told_apart,
    paired_difference,
)
from corun.orchestrator.core.terms import Figures, Goal, Strategy

# Scales a median absolute deviation to the standard deviation of a normal distribution: 1 / Phi^-1(3/4).
MAD_TO_STANDARD_DEVIATION = 1.4826

# How far a single round may be off, as a fraction, where there is no second one to tell: repeated runs on a quiet
# machine differ by 4 to 10 %.
SINGLE_ROUND_NOISE = 0.1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a comparison. `gain_is_known` is false when the recommended strategy was not measured; `behind` says
    how far each other strategy is behind the best."""

    best: Strategy
    tied: tuple[Strategy, ...]
    recommendation_correct: bool
    improvement_percent: float
    gain_is_known: bool
    behind: Mapping[Strategy, PairedDifference]


def rotated(strategies: Sequence[_T], round_number: int) -> list[_T]:
    """The order of one round: each starts one place later than the one before, so that every strategy
    comes first, last and after every other about equally often and a drifting machine favours none."""
    start = round_number % len(strategies)
    return [*strategies[start:], *strategies[:start]]


def median_figures(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure for itself. `rounds` must not be empty."""
    return Figures(
        latency_ms=median(each.latency_ms for each in rounds),
        throughput_items_per_second=median(each.throughput_items_per_second for each in rounds),
        memory_mb=median(each.memory_mb for each in rounds),
    )


def best_by_median(rounds: Mapping[Strategy, Sequence[Figures]], goal: Goal) -> Strategy:
    """The strategy whose median is best for `goal`; the first of equals. None of them may be empty."""
    return best_of({strategy: median_figures(figures) for strategy, figures in rounds.items()}, goal)


def typical_round(rounds: Sequence[Figures], goal: Goal) -> int:
    """Index of the round whose figure is the median (the lower of two), so a real run can stand for all."""
    figures = [each.of(goal) for each in rounds]
    return figures.index(median_low(figures))


def noise(rounds: Sequence[Figures], goal: Goal) -> float:
    """Median absolute deviation of the goal's figure, scaled to a standard deviation, as a fraction of the
    median; 0 where the median is 0 or there is one round."""
    figures = [each.of(goal) for each in rounds]
    middle = median(figures)
    if middle == 0:
        return 0.0
    return MAD_TO_STANDARD_DEVIATION * median(abs(each - middle) for each in figures) / middle


def improvement_percent(recommended: Strategy, medians: Mapping[Strategy, Figures], goal: Goal) -> float:
    """Gain of the recommended strategy over the mean of all measured ones, percent of that mean.

    Positive when it was better than chance: lower for latency and memory, higher for throughput. 0 where
    the mean is 0.
    """
    mean = fmean(figures.of(goal) for figures in medians.values())
    if mean == 0:
        return 0.0
    gain = (medians[recommended].of(goal) - mean) / mean * 100
    return gain if goal.higher_is_better else -gain


def judge(rounds: Mapping[Strategy, Sequence[Figures]], *, recommended: Strategy | None, goal: Goal) -> Verdict:
    """Who was best by the goal's median, who could not be told from it, and whether the recommendation was right.

    Args:
        rounds: Figures of every round of every strategy that did not fail; not empty.
        recommended: What the predictor had recommended, measured or not; None where it did not answer.
        goal: What "best" means.
    """
    medians = {strategy: median_figures(figures) for strategy, figures in rounds.items()}
    best = best_of(medians, goal)
    compared = {each: paired_difference(rounds[best], rounds[each], goal) for each in rounds if each is not best}
    # Bonferroni's: the best is compared with each of the others.
    level = SIGNIFICANCE_LEVEL / max(1, len(compared))
    tied = tuple(
        strategy
        for strategy in rounds
        if strategy is best or not _is_behind(compared[strategy], medians[best], medians[strategy], goal, level)
    )
    known = recommended in medians
    return Verdict(
        best=best,
        tied=tied,
        recommendation_correct=recommended in tied,
        improvement_percent=improvement_percent(recommended, medians, goal) if recommended in medians else 0.0,
        gain_is_known=known,
        behind={strategy: each for strategy, each in compared.items() if each is not None},
    )


def _is_behind(difference: PairedDifference | None, best: Figures, other: Figures, goal: Goal, level: float) -> bool:
    if difference is not None:
        return is_told_apart(difference, level=level)
    return abs(other.of(goal) - best.of(goal)) > SINGLE_ROUND_NOISE * abs(best.of(goal))
