"""What a machine was like while things were measured on it: its pace, and what other programs took of its cores.

Another program that takes a core slows a lane of all cores down by far more than runs that share them, and a lane of
one core not at all. A lower clock, or a neighbour on the same host, slows everything alike.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.interval import neighbour_sigma, shrunk_sigma
from corun.predictor.core.sharing import MOST_TAKEN

# Steps and bounds of what is told apart: logarithms of pace, e-folds in all, and cores.
_PACE_STEP, _MOST_PACES = 0.05, 60
_LEAST_TAKEN, _TAKEN_STEP, _MOST_SHARES = 0.3, 0.1, 16
# What a reading costs at most that is far from its conditions, in standard deviations, and what it costs to change
# them: three clear readings pay for a change of pace, two for a program that takes cores, and one for its end, since
# nothing is fast by chance beside a program that takes what it needs.
_FARTHEST, _PACE_PRICE, _TAKEN_PRICE, _RELEASE_PRICE = 4.0, 8.5, 6.5, 3.5
_LEAST_SIGMA = 0.03
# Cores used by other programs from which on they count as seen, below which as not there, and what it costs, in the
# same deviations, to hold against it that they take cores or take none. How many they use is no measure of how many
# they would take: beside lanes of all cores it is a part of that.
_SEEN_CORES, _UNSEEN_CORES, _SEEN_PRICE = 0.4, 0.2, 4.0
# Spread of readings of a kind before there are enough to tell.
_PRIOR_SIGMA, _PRIOR_COUNT = 0.06, 4.0

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conditions:
    """`pace` is the logarithm of how many times slower everything was than it is now, `taken` is in cores."""

    pace: float = 0.0
    taken: float = 0.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """The conditions from each of some ascending moments on; those of the last one are there now."""

    moments: tuple[int, ...] = ()
    conditions: tuple[Conditions, ...] = ()

    def at(self, moment: int) -> Conditions:
        """The conditions at a moment; those of the first one before it."""
        if not self.moments:
            return Conditions()
        return self.conditions[max(0, bisect_right(self.moments, moment) - 1)]

    @property
    def now(self) -> Conditions:
        """The newest conditions."""
        return self.conditions[-1] if self.conditions else Conditions()


@dataclass(frozen=True, slots=True)
class Reading:
    """Something measured at a moment: by how much it took longer (logarithm of a ratio) than it should have for each
    of the shares of `shares`, at today's pace. Readings of one kind may be compared with each other.

    `other_programs_cores` is what other programs were measured to use meanwhile; None where nobody looked.
    """

    moment: int
    kind: Hashable
    excess: Array = field(compare=False)
    other_programs_cores: float | None = None

    def against(self, taken: Array) -> Array:
        """What holding each of `taken` costs beside what was seen of other programs."""
        cores = self.other_programs_cores
        if cores is None or _UNSEEN_CORES <= cores < _SEEN_CORES:
            return np.zeros(len(taken))
        return np.where((taken > 0) == (cores >= _SEEN_CORES), 0.0, _SEEN_PRICE)


def shares(core_count: int) -> Array:
    """Cores that other programs may take, ascending from 0."""
    most = MOST_TAKEN * core_count
    count = min(_MOST_SHARES, 1 + round((most - _LEAST_TAKEN) / _TAKEN_STEP))
    return np.concatenate([[0.0], np.linspace(_LEAST_TAKEN, most, count)])


def follow(readings: Sequence[Reading], taken: Array) -> Timeline:
    """The conditions that explain the readings with as few changes as they allow.

    The L1-Potts functional (Storath, Weinmann and Demaret 2014) over a grid of paces and shares, by dynamic
    programming: distances in standard deviations, bounded so that wild readings do not count more than far ones, what
    was seen of other programs, and a price for each change. `readings` are in the order of their moments; each has an
    excess for every one of `taken`.
    """
    if not readings:
        return Timeline()
    sigmas = _sigmas(readings)
    excess = np.array([each.excess for each in readings])
    unexplained = excess[:, 0]
    reach = _PACE_STEP * _MOST_PACES / 2
    middle = float(np.median(unexplained))
    low = max(float(unexplained.min()), middle - reach)
    high = min(float(unexplained.max()), middle + reach)
    paces = np.arange(low, high + _PACE_STEP, _PACE_STEP)
    against = np.array([each.against(taken) for each in readings])
    sigma = np.array([sigmas[each.kind] for each in readings])
    places = _cheapest(excess, against, paces, sigma, _weights(readings))
    return _timeline(readings, excess, places, taken)


def _cheapest(excess: Array, against: Array, paces: Array, sigmas: Array, weights: Array) -> list[tuple[int, int]]:
    """The places of pace and share in their grids at each reading."""
    # Nothing else is taken to run at first: lanes of all cores alone cannot tell it from another pace.
    costs = np.tile(np.where(np.arange(excess.shape[1]) > 0, _TAKEN_PRICE, 0.0), (len(paces), 1))
    before = []
    for row, seen, sigma, weight in zip(excess, against, sigmas, weights, strict=True):
        before.append(costs)
        distances = np.minimum(_FARTHEST, np.abs(row[None, :] - paces[:, None]) / sigma)
        costs = np.minimum(costs, _changed(costs)) + weight * (distances + seen[None, :])
    place = _least(costs)
    path = [place]
    for costs in reversed(before[1:]):
        place = _origin(costs, place)
        path.append(place)
    return path[::-1]


def _changed(costs: Array) -> Array:
    """The least cost of coming from elsewhere: from a larger or any other share at each pace, or from anything."""
    from_larger = np.minimum.accumulate(costs[:, ::-1], axis=1)[:, ::-1] + _RELEASE_PRICE
    from_any = np.minimum(costs.min(axis=1, keepdims=True) + _TAKEN_PRICE, costs.min() + _PACE_PRICE)
    changed: Array = np.minimum(from_larger, from_any)
    return changed


def _origin(costs: Array, place: tuple[int, int]) -> tuple[int, int]:
    pace, share = place
    least = _changed(costs)[place]
    if costs[place] <= least:
        return place
    larger = share + int(costs[pace, share:].argmin())
    if costs[pace, larger] + _RELEASE_PRICE <= least:
        return pace, larger
    if costs[pace].min() + _TAKEN_PRICE <= least:
        return pace, int(costs[pace].argmin())
    return _least(costs)


def _least(costs: Array) -> tuple[int, int]:
    pace, share = np.unravel_index(int(costs.argmin()), costs.shape)
    return int(pace), int(share)


def _weights(readings: Sequence[Reading]) -> Array:
    """Readings of one moment have much of their error in common: together they count as the root of their number."""
    counts = Counter(each.moment for each in readings)
    return np.array([1 / math.sqrt(counts[each.moment]) for each in readings])


def _timeline(readings: Sequence[Reading], excess: Array, places: Sequence[tuple[int, int]], taken: Array) -> Timeline:
    found: list[tuple[int, float, float]] = []
    for (_, share), positions in groupby(range(len(readings)), key=places.__getitem__):
        own = list(positions)
        pace = statistics.median(excess[own, share].tolist())
        found.append((readings[own[0]].moment, pace, float(taken[share])))
    newest = found[-1][1]
    return Timeline(
        tuple(moment for moment, _, _ in found),
        tuple(Conditions(pace - newest, share) for _, pace, share in found),
    )


def _sigmas(readings: Sequence[Reading]) -> dict[Hashable, float]:
    """Standard deviations of single readings, by kind."""
    kinds: dict[Hashable, list[float]] = {}
    for each in readings:
        kinds.setdefault(each.kind, []).append(float(each.excess[0]))
    return {kind: _sigma(values) for kind, values in kinds.items()}


def _sigma(values: Sequence[float]) -> float:
    measured = neighbour_sigma(values)
    shrunken = shrunk_sigma(measured, len(values) - 1, prior=_PRIOR_SIGMA, prior_count=_PRIOR_COUNT)
    return max(_LEAST_SIGMA, shrunken)
