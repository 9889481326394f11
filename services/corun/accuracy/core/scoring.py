"""How far predictions were from measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from corun.accuracy.core.points import Interval

_NEAR = 0.1


@dataclass(frozen=True, slots=True)
class Score:
    """Absolute errors as fractions of what was measured, and shares of the points.

    Attributes:
        count: Points that were scored.
        mean: Mean error.
        median: Median error.
        p90: Error that nine points of ten stay below.
        within_10: Share of the points whose error is at most a tenth.
        coverage: Share of the single measurements, not of their medians, that lie in the predicted interval, which is
            made for one execution; None without intervals.
        noise_floor: Mean error of a single run as a prediction of the median of its repeats; None without repeats.
    """

    count: int
    mean: float | None = None
    median: float | None = None
    p90: float | None = None
    within_10: float | None = None
    coverage: float | None = None
    noise_floor: float | None = None


def score(
    predicted: Sequence[float],
    measured: Sequence[float],
    *,
    intervals: Sequence[Interval] | None = None,
    repeats: Sequence[Sequence[float]] | None = None,
) -> Score:
    """Scores predictions against measurements of the same points.

    A measurement that is not above 0 (memory below the idle browser's) has no relative error and does not count.
    """
    usable = [index for index, figure in enumerate(measured) if figure > 0]
    errors = [abs(predicted[index] - measured[index]) / measured[index] for index in usable]
    if not errors:
        return Score(0)
    return Score(
        count=len(errors),
        mean=fmean(errors),
        median=median(errors),
        p90=ninth_decile(errors),
        within_10=fmean(error <= _NEAR for error in errors),
        coverage=_coverage([(intervals[index], repeats[index]) for index in usable]) if intervals and repeats else None,
        noise_floor=noise_floor([repeats[index] for index in usable]) if repeats else None,
    )


def ninth_decile(values: Sequence[float]) -> float:
    """The value below which nine of ten lie, with linear interpolation between them; at least one value."""
    return quantiles(values, n=10, method="inclusive")[8] if len(values) > 1 else values[0]


def noise_floor(repeats: Sequence[Sequence[float]]) -> float:
    """Mean error of single runs against the median of their repeats: no prediction can be expected to be better."""
    return fmean(abs(figure / median(figures) - 1) for figures in repeats for figure in figures)


def _coverage(cases: Sequence[tuple[Interval, Sequence[float]]]) -> float:
    return fmean(low <= figure <= high for (low, high), figures in cases for figure in figures)
