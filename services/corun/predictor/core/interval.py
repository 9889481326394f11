"""Intervals on a logarithmic scale: times and sizes are positive, and their errors are ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A normal error stays within this many standard deviations nine times out of ten.
NINE_IN_TEN = 1.6449
# A factor of 1.4826 makes the median absolute deviation of a normal sample its standard deviation.
MAD_TO_SIGMA = 1.4826
# No interval is narrower than what repeated runs on a quiet machine differ by: 4-10 % were measured.
NOISE_FLOOR = 0.05
# The logarithm of the widest factor: wider says nothing more, and must stay finite.
_WIDEST = 50.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval that is meant to hold the measured one nine times out of ten."""

    value: float
    low: float
    high: float

    def inverted(self, numerator: float) -> Estimate:
        """The estimate of `numerator / x`: a rate out of a time."""
        return Estimate(numerator / self.value, numerator / self.high, numerator / self.low)


def estimate(value: float, log_sigma: float, *, deviations: float = NINE_IN_TEN) -> Estimate:
    """The 90 % interval around `value` whose logarithm has the standard deviation `log_sigma`, above 0.

    `deviations` to either side hold nine of ten errors; a normal error needs `NINE_IN_TEN`.
    """
    factor = math.exp(min(_WIDEST, deviations * log_sigma))
    return Estimate(value, value / factor, value * factor)


def sigma_of_factor(factor: float) -> float:
    """The standard deviation of the logarithm for which `estimate` reaches from x / factor to x * factor."""
    return math.log(factor) / NINE_IN_TEN


def robust_sigma(residuals: Iterable[float]) -> float:
    """Spread of residuals around 0, unmoved by less than half of them being wild; 0 without any."""
    sizes = [abs(each) for each in residuals]
    return MAD_TO_SIGMA * statistics.median(sizes) if sizes else 0.0


def neighbour_sigma(values: Sequence[float]) -> float:
    """Spread from the differences of neighbours (Rice 1984), which few changes of level do not widen; 0 without any."""
    return robust_sigma(b - a for a, b in pairwise(values)) / math.sqrt(2)


def shrunk(measured: float, count: int, *, prior: float, prior_count: float) -> float:
    """A measured figure held towards a prior one that weighs as much as `prior_count` measurements."""
    return (count * measured + prior_count * prior) / (count + prior_count)


def shrunk_sigma(measured: float, count: int, *, prior: float, prior_count: float) -> float:
    """The same of a spread, whose square is what measurements add up to."""
    return math.sqrt(shrunk(measured**2, count, prior=prior**2, prior_count=prior_count))
