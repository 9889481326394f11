"""Intervals that hold what they promise: as wide as the newest errors were large."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from statistics import NormalDist

from corun.predictor.core.execution import Surprise
from corun.predictor.core.interval import NINE_IN_TEN

MISS_RATE = 0.1
_WINDOW = 100
_STEP = 0.02
_LEAST_RATE, _MOST_RATE = 0.01, 0.4
_LEAST, _MOST = 0.3, 8.0
# What a normal error would have shown, as if it had been observed: a start that a few surprises do not upset.
_ASSUMED = tuple(NormalDist().inv_cdf(0.5 + (index + 0.5) / 20) for index in range(10))


def deviations(surprises: Sequence[Surprise]) -> float:
    """Standard deviations to either side of a prediction that hold nine of ten measurements.

    Split conformal prediction (Vovk et al. 2005) on errors that were recorded before they were learnt, in units of
    the cost model's own standard deviation; the miss rate that is aimed at follows the observed misses, so that
    the promise is kept while the machine changes (Gibbs and Candes 2021).

    Args:
        surprises: Oldest first. Without any it is the normal distribution's figure.
    """
    if not surprises:
        return NINE_IN_TEN
    scores = [abs(each.log_ratio) / each.log_sigma for each in surprises]
    window = sorted(_ASSUMED)
    rate = MISS_RATE
    for index, score in enumerate(scores):
        missed = score > _quantile(window, rate)
        rate = min(_MOST_RATE, max(_LEAST_RATE, rate + _STEP * (MISS_RATE - missed)))
        insort(window, score)
        if index >= _WINDOW:
            window.remove(scores[index - _WINDOW])
    return min(_MOST, max(_LEAST, _quantile(window, rate)))


def _quantile(ascending: Sequence[float], rate: float) -> float:
    rank = math.ceil((len(ascending) + 1) * (1 - rate))
    return ascending[min(rank, len(ascending)) - 1]
