"""Finding the newest change of level in a series of measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from corun.predictor.core.interval import neighbour_sigma

# Numbers of newest values that are tried as having another level than those before.
_NEWEST = (3, 5, 7, 9, 13, 19, 31)
# Values that have to agree on a change.
_AGREED = 3
_LEAST_BEFORE = 3
_MOST_BEFORE = 32
# A change is believed beyond this many standard errors, and where it is larger than what repeated runs differ by.
_STANDARD_ERRORS = 4.0
_LEAST_SHIFT = 0.08
_LEAST_SIGMA = 0.03
# The median of a normal sample varies more than its mean does.
_MEDIAN_EFFICIENCY = 1.2533


@dataclass(frozen=True, slots=True)
class Shift:
    """From `start` on, values lie `size` higher than before."""

    start: int
    size: float


def latest_shift(values: Sequence[float]) -> Shift | None:
    """The clearest change of level that the newest values share; None where there is none.

    Medians before and after each candidate are compared, in the manner of Pettitt (1979) and robust to wild
    values: one or two never make a change.
    """
    if len(values) < _LEAST_BEFORE + _NEWEST[0]:
        return None
    sigma = max(_LEAST_SIGMA, neighbour_sigma(values))
    best, clearest = None, _STANDARD_ERRORS
    for newest in _NEWEST:
        start = len(values) - newest
        if start < _LEAST_BEFORE:
            break
        before, after = values[max(0, start - _MOST_BEFORE) : start], values[start:]
        level = statistics.median(before)
        size = statistics.median(after) - level
        agreed = sorted(math.copysign(1, size) * (value - level) for value in after)[-_AGREED]
        error = _MEDIAN_EFFICIENCY * sigma * math.sqrt(1 / len(before) + 1 / newest)
        if min(abs(size), agreed) > _LEAST_SHIFT and min(abs(size), agreed) / error > clearest:
            best, clearest = Shift(start, size), min(abs(size), agreed) / error
    return None if best is None else Shift(_start(values, best), best.size)


def _start(values: Sequence[float], shift: Shift) -> int:
    """Where the newest values begin to be nearer to the new level than to the old one, on the whole."""
    old = statistics.median(values[max(0, shift.start - _MOST_BEFORE) : shift.start])
    new = old + shift.size
    # What each later start saves: distances to the old level instead of the new one.
    saved, most, start = 0.0, 0.0, shift.start
    for index in range(shift.start, len(values) - _AGREED):
        saved += abs(values[index] - new) - abs(values[index] - old)
        if saved > most:
            most, start = saved, index + 1
    return start
