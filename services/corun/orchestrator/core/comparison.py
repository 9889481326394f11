"""How strategies did against each other: order of rounds, medians, noise, ties and gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, median_low
from typing import TypeVar

from corun.orchestrator.core.choice import best_of
from corun.orchestrator.core.terms import Figures, Goal, Strategy

# Scales a median absolute deviation to the standard deviation of a normal distribution: 1 / Phi^-1(3/4).
MAD_TO_STANDARD_DEVIATION = 1.4826

# Two strategies closer than this are not told apart, however still the rounds were.
NOISE_FLOOR = 0.02

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a comparison. `gain_is_known` is false when the recommended strategy was not measured."""

    best: Strategy
    tied: tuple[Strategy, ...]
    recommendation_correct: bool
    improvement_percent: float
    gain_is_known: bool


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


def tied_with(
    best: Strategy, *, medians: Mapping[Strategy, Figures], noises: Mapping[Strategy, float], goal: Goal
) -> tuple[Strategy, ...]:
    """The strategies that cannot be told from the best, the best included.

    A strategy is tied when its median differs from the best one's by at most a tolerance, as a fraction of
    the best one's median. The tolerance is the larger of both strategies' noises, and at least 2 %.
    """
    target = medians[best].of(goal)
    return tuple(
        strategy
        for strategy, figures in medians.items()
        if abs(figures.of(goal) - target) <= max(noises[strategy], noises[best], NOISE_FLOOR) * target
    )


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


def judge(rounds: Mapping[Strategy, Sequence[Figures]], *, recommended: Strategy, goal: Goal) -> Verdict:
    """Who was best by the goal's median, who tied with it, and whether the recommendation was right.

    Args:
        rounds: Figures of every round of every strategy that did not fail; not empty.
        recommended: What the predictor had recommended, measured or not.
        goal: What "best" means.
    """
    medians = {strategy: median_figures(figures) for strategy, figures in rounds.items()}
    noises = {strategy: noise(figures, goal) for strategy, figures in rounds.items()}
    best = best_of(medians, goal)
    tied = tied_with(best, medians=medians, noises=noises, goal=goal)
    known = recommended in medians
    return Verdict(
        best=best,
        tied=tied,
        recommendation_correct=recommended in tied,
        improvement_percent=improvement_percent(recommended, medians, goal) if known else 0.0,
        gain_is_known=known,
    )
