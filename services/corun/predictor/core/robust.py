"""Estimates of location and scale for measurements that other work only ever disturbs upwards.

A machine that is interrupted now and then gives a cluster of undisturbed figures and a tail of slow ones. The middle
of all moves with the tail; what is looked for is the middle of the cluster. On a quiet machine, where there is no
tail, the two are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.interval import NOISE_FLOOR, robust_sigma

_ROUNDS = 6
_REACH = 4.685  # standard deviations, beyond which a figure counts nothing: 95 % as efficient on clean data
# Part of the figures that is taken to be in the cluster or below it at least.
_CLEAN = 0.25

_Residual = TypeVar("_Residual", float, NDArray[np.float64])


def quarter(values: Sequence[float]) -> float:
    """The value that a quarter of the others lies below; with up to four values the least."""
    return sorted(values)[int(_CLEAN * (len(values) - 1))]


def lower_sigma(residuals: Sequence[float]) -> float:
    """Spread of the residuals below 0, which no disturbance makes wider; never below the noise floor.

    That of all of them where it is smaller: a single wild residual may be all that lies below.
    """
    below = [-each for each in residuals if each < 0]
    return max(NOISE_FLOOR, min(robust_sigma(below), robust_sigma(residuals)))


def bisquare(residual: _Residual, sigma: float) -> _Residual:
    """Weight of a residual, or of each of several (Beaton and Tukey 1974): 1 at 0, nothing beyond 4.7 standard
    deviations."""
    inside = 1 - (residual / (_REACH * sigma)) ** 2
    return inside * inside * (inside > 0)


def typical(logs: Sequence[float]) -> float:
    """The middle of the lowest cluster of logarithms, at least one; an M-estimate that starts at their quarter."""
    middle = quarter(logs)
    sigma = lower_sigma([each - middle for each in logs])
    for _ in range(_ROUNDS):
        weights = [bisquare(each - middle, sigma) for each in logs]
        middle = sum(weight * each for weight, each in zip(weights, logs, strict=True)) / sum(weights)
    return middle
