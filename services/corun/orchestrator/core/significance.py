"""Whether one strategy is really behind another, from rounds in which both ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from scipy.special import stdtr, stdtrit

from corun.orchestrator.core.terms import Figures, Goal

# Two strategies closer than this are not told apart, however still the rounds were; nor is the standard deviation of
# a difference taken to be less: a few rounds that happen to agree are no proof of a quiet machine.
NOISE_FLOOR = 0.02

# Chance that a difference which is none is taken for one.
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How far one is behind another: the mean relative difference, its 95 % confidence interval, and the p-value."""

    mean: float
    low: float
    high: float
    p_value: float
    round_count: int


def paired_difference(best: Sequence[Figures], other: Sequence[Figures], goal: Goal) -> PairedDifference | None:
    """Two-sided paired t-test (Student, 1908) on relative differences of rounds; None with fewer than two.

    The difference of a round is taken relative to the mean of both figures, so that it has no favourite; positive when
    `other` was worse. Pairing takes out what slows both: rounds are interleaved.
    """
    differences = [
        _relative_difference(one.of(goal), two.of(goal)) * (-1 if goal.higher_is_better else 1)
        for one, two in zip(best, other, strict=False)
    ]
    count = len(differences)
    if count < 2:
        return None
    mean, error = fmean(differences), max(stdev(differences), NOISE_FLOOR) / sqrt(count)
    margin = float(stdtrit(count - 1, 0.975)) * error
    p_value = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return PairedDifference(mean, mean - margin, mean + margin, p_value, count)


def is_told_apart(difference: PairedDifference, *, level: float) -> bool:
    """True when the other is behind by more than the noise floor, and not by chance."""
    return difference.mean > NOISE_FLOOR and difference.p_value <= level


def _relative_difference(one: float, two: float) -> float:
    scale = (abs(one) + abs(two)) / 2
    return (two - one) / scale if scale else 0.0
