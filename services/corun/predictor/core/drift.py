"""Finding changes of level in a series of measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from corun.predictor.core.interval import MAD_TO_SIGMA

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
# Levels of a path: how far they are apart, and how many there may be; three e-folds in all.
_LEVEL_STEP, _MOST_LEVELS = 0.05, 60
# What a change costs, and what a value costs at most, in standard deviations: three that agree on a clear change pay
# for it.
_CHANGE_PRICE, _FARTHEST = 8.5, 4.0
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
    sigma = _scale(values)
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


def level_path(values: Sequence[float]) -> list[float]:
    """Levels that follow the values with as few changes as they allow, one for each value.

    The L1-Potts functional (Storath, Weinmann and Demaret 2014) over a grid of levels: distances in standard
    deviations, bounded so that wild values do not count more than far ones, and a price for each change. At least one
    value.
    """
    sigma = _scale(values)
    low = min(values)
    count = min(_MOST_LEVELS, 1 + math.ceil((max(values) - low) / _LEVEL_STEP))
    levels = [low + _LEVEL_STEP * index for index in range(count)]
    costs = [0.0] * count
    came_from: list[list[int]] = []
    for value in values:
        best = min(range(count), key=costs.__getitem__)
        changed = costs[best] + _CHANGE_PRICE
        origins = [index if costs[index] <= changed else best for index in range(count)]
        came_from.append(origins)
        costs = [
            min(costs[index], changed) + min(_FARTHEST, abs(value - levels[index]) / sigma) for index in range(count)
        ]
    path = [min(range(count), key=costs.__getitem__)]
    for origins in reversed(came_from[1:]):
        path.append(origins[path[-1]])
    return _segment_medians(values, path[::-1])


def _segment_medians(values: Sequence[float], path: Sequence[int]) -> list[float]:
    found: list[float] = []
    for _, positions in groupby(range(len(values)), key=path.__getitem__):
        own = [values[position] for position in positions]
        found += [statistics.median(own)] * len(own)
    return found


def _scale(values: Sequence[float]) -> float:
    """Standard deviation from differences of neighbours (Rice 1984), which a change of level does not widen."""
    steps = [abs(b - a) for a, b in pairwise(values)]
    return max(_LEAST_SIGMA, MAD_TO_SIGMA * statistics.median(steps) / math.sqrt(2)) if steps else _LEAST_SIGMA
