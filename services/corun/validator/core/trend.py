"""Whether errors rise or fall over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from corun.validator.core.level import best_split
from corun.validator.core.series import Values, answered_once

LEAST_COUNT = 10
"""Validations below which nothing is said of a trend."""

_MOST_COUNT = 1000  # every pair of values is looked at
_SIGNIFICANCE = 0.01
# One percentage point of error: a smaller change is of no use to anybody, however certain it is.
_LEAST_CHANGE = 0.01
# What is left without the change this many times smaller is no noise that resembles itself, but the bend of a curve.
_CLEAR_CHANGE = 6.0
# So is what is left where so large a share of all pairs agrees on the direction.
_CLEAR_SHARE = 0.9


class Direction(StrEnum):
    """Where errors go."""

    INSUFFICIENT_DATA = "insufficient_data"
    STABLE = "stable"
    IMPROVING = "improving"
    WORSENING = "worsening"


@dataclass(frozen=True, slots=True)
class Trend:
    """How an error moved over a series of validations.

    Attributes:
        strength: 0 to 1: the change over the series, by its slope, as a share of the larger of its two ends; 0 unless
            the direction is improving or worsening.
        slope: Change of the error from one validation to the next; None with too little data.
        p_value: Two-sided, of the test for a trend; None with too little data.
        count: Validations that have this error.
        explanation: In words with figures.
    """

    direction: Direction
    strength: float
    slope: float | None
    p_value: float | None
    count: int
    explanation: str


@answered_once
def error_trend(errors: Values) -> Trend:
    """The trend of errors (not negative, 0.15 is 15 %) in the order they were recorded; the newest 1,000 count.

    The test is Mann and Kendall's (Mann 1945, Kendall 1975): it asks for no distribution and heeds no single wild
    value. Errors of neighbours resemble each other, which the plain test takes for a trend; its variance is therefore
    corrected by the effective sample size (Yue and Wang 2004), from the autocorrelation at lag 1 of what is left
    without the change. Of 1,000 series of pure noise 1 to 10 have a trend where values are independent, and up to 53
    where neighbours correlate by 0.5. The slope is the median over all pairs (Theil 1950, Sen 1968).
    """
    values = errors[-_MOST_COUNT:]
    count = len(values)
    if count < LEAST_COUNT:
        words = f"{count} validation{'' if count == 1 else 's'}: at least {LEAST_COUNT} are needed to tell a trend"
        return Trend(Direction.INSUFFICIENT_DATA, 0.0, None, None, count, words)
    first, second, distances = _pairs(count)
    steps = values[second] - values[first]
    slope = float(np.median(steps / distances, overwrite_input=True))
    score = float(np.count_nonzero(steps > 0) - np.count_nonzero(steps < 0))
    variance = _variance(values)
    if abs(score) < _CLEAR_SHARE * len(steps):
        variance *= _correction(values, slope)
    p_value = _p_value(score, variance)
    start, end = _ends(values, slope)
    change = end - start
    told = f"from {start:.1%} to {end:.1%} over {count} validations (p = {p_value:.2g})"
    if p_value >= _SIGNIFICANCE or abs(change) < _LEAST_CHANGE:
        return Trend(Direction.STABLE, 0.0, slope, p_value, count, f"no certain change: {told}")
    direction = Direction.WORSENING if change > 0 else Direction.IMPROVING
    return Trend(direction, abs(change) / max(start, end), slope, p_value, count, f"{direction}: {told}")


@lru_cache(maxsize=4)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Values]:
    """Indexes of every value and every one after it, and how far apart they are."""
    first, second = np.triu_indices(count, k=1)
    return first, second, (second - first).astype(np.float64)


def _variance(values: Values) -> float:
    """Of the score when there is no trend, equal values considered (Kendall 1975)."""
    count = len(values)
    _, ties = np.unique(values, return_counts=True)
    tied = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    return (count * (count - 1) * (2 * count + 5) - tied) / 18


def _correction(values: Values, slope: float) -> float:
    """How many times fewer independent values there are (Bayley and Hammersley 1946), at least 1.

    From what is left without the slope, or without a change of level where that leaves less.
    """
    count = len(values)
    line, split = values - slope * np.arange(count), best_split(values)
    before, after = values[:split], values[split:]
    steps = np.concatenate([before - before.mean(), after - after.mean()])
    line -= line.mean()
    rest, change = min(
        ((line, abs(slope) * (count - 1)), (steps, abs(float(after.mean() - before.mean())))),
        key=lambda each: float(each[0] @ each[0]),
    )
    power = float(rest @ rest)
    if change >= _CLEAR_CHANGE * (power / count) ** 0.5:
        return 1.0
    correlation = float(rest[:-1] @ rest[1:]) / power
    # The estimate is low on short series (Kendall 1954).
    correlation = min(0.95, max(0.0, correlation + (1 + 3 * correlation) / count))
    lags = np.arange(1, count)
    return 1 + 2 * float(((1 - lags / count) * correlation**lags).sum())


def _p_value(score: float, variance: float) -> float:
    if variance <= 0 or score == 0:
        return 1.0
    deviation = (abs(score) - 1) / math.sqrt(variance)
    return math.erfc(deviation / math.sqrt(2))


def _ends(values: Values, slope: float) -> tuple[float, float]:
    """Errors at the beginning and at the end by the line through the medians; none is below 0."""
    half = slope * (len(values) - 1) / 2
    middle = float(np.median(values - slope * np.arange(len(values)))) + half
    return max(0.0, middle - half), max(0.0, middle + half)
