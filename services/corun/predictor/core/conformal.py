"""Intervals that hold what they promise: as wide as the newest errors were large."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from corun.predictor.core.execution import Surprise
from corun.predictor.core.interval import NINE_IN_TEN

MISS_RATE = 0.1
_WINDOW = 100
# Surprises after which one counts half: the first ones, of what was not known yet, say little of what is known now.
_HALF_LIFE = 8.0
# How much each miss moves the rate that is aimed at, and how much of that is forgotten at each further surprise.
_STEP, _FORGOTTEN = 0.02, 0.04
_LEAST_RATE, _MOST_RATE = 0.01, 0.4
_LEAST, _MOST = 0.3, 8.0
# What a normal error would have shown, as if it had been observed: a start that a few surprises do not upset. It
# fades as they become many, down to a weight each that keeps the quantile from clinging to one of them.
_ASSUMED = tuple(NormalDist().inv_cdf(0.5 + (index + 0.5) / 20) for index in range(10))
_ASSUMED_FIRST, _ASSUMED_LAST, _ASSUMED_HALF_LIFE = 0.8, 0.3, 16.0


def deviations(surprises: Sequence[Surprise]) -> float:
    """Standard deviations to either side of a prediction that hold nine of ten measurements.

    Split conformal prediction (Vovk et al. 2005) on errors that were recorded before they were learnt, in units of
    the cost model's own standard deviation, newer ones weighing more (Barber et al. 2023); the miss rate that is
    aimed at follows the observed misses, so that the promise is kept while the machine changes (Gibbs and Candes 2021).

    Args:
        surprises: Oldest first. Without any it is the normal distribution's figure.
    """
    if not surprises:
        return NINE_IN_TEN
    scores = [abs(each.log_ratio) / each.log_sigma for each in surprises[-_WINDOW:]]
    ranks = _Ranks(scores)
    rate = MISS_RATE
    for index, score in enumerate(scores):
        missed = score > ranks.quantile(index, rate)
        rate += _STEP * (MISS_RATE - missed) + _FORGOTTEN * (MISS_RATE - rate)
        rate = min(_MOST_RATE, max(_LEAST_RATE, rate))
    return min(_MOST, max(_LEAST, ranks.quantile(len(scores), rate)))


class _Ranks:
    """Scores and the assumed ones by size, with the weight up to each of them at every moment."""

    def __init__(self, scores: Sequence[float]) -> None:
        values = np.concatenate([_ASSUMED, scores])
        moments = np.arange(len(scores) + 1)[:, None]
        ages = moments - 1 - np.arange(len(scores))[None, :]
        aged = np.where(ages >= 0, np.power(0.5, np.maximum(ages, 0) / _HALF_LIFE), 0.0)
        assumed = _ASSUMED_LAST + (_ASSUMED_FIRST - _ASSUMED_LAST) * np.power(0.5, moments / _ASSUMED_HALF_LIFE)
        weights = np.hstack([np.repeat(assumed, len(_ASSUMED), axis=1), aged])
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._weight_up_to = np.cumsum(weights[:, order], axis=1)

    def quantile(self, count: int, rate: float) -> float:
        """Where all but `rate` of the weight of the first `count` scores lies below, the assumed scores' included."""
        weight_up_to = self._weight_up_to[count]
        place = np.searchsorted(weight_up_to, (1 - rate) * weight_up_to[-1])
        return float(self._values[min(place, len(self._values) - 1)])
