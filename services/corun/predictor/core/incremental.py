"""Refinement by the newest records, one after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corun.predictor.core.correction import LEVEL, SHARED, LinearCorrection
from corun.predictor.core.estimators import Sample
from corun.predictor.core.workload import Platform

_FORGETTING = 0.98
_NOISE = 0.06
_LEVEL_SPREAD, _WEIGHT_SPREAD = 0.3, 0.1
_WILD = 3.0


class Incremental:
    """Recursive least squares with exponential forgetting (Ljung 1999).

    For small errors: it starts from the correction that serves and moves it by each record in turn, so that what
    earlier versions learnt of plans that are not in these records stays. A record 50 back counts a third.
    Innovations beyond three standard deviations count as three.
    """

    def fit(self, samples: Sequence[Sample], *, platform: Platform, start: LinearCorrection) -> LinearCorrection:
        """Samples of other platforms are passed over."""
        own = [each for each in samples if each.platform is platform]
        names = sorted({name for each in own for name in each.features} | start.weights.keys())
        weights = np.array([start.weights.get(name, 0.0) for name in names])
        spreads = [_LEVEL_SPREAD if name in (LEVEL, SHARED) else _WEIGHT_SPREAD for name in names]
        prior = covariance = np.diag(np.square(spreads)) / _NOISE**2
        for sample in own:
            row = np.array([sample.features.get(name, 0.0) for name in names])
            spread = float(row @ covariance @ row)
            reach = _WILD * _NOISE * np.sqrt(1 + spread)
            innovation = np.clip(sample.log_ratio - row @ weights, -reach, reach)
            gain = covariance @ row / (_FORGETTING + spread)
            weights = weights + gain * innovation
            covariance = (covariance - np.outer(gain, row @ covariance)) / _FORGETTING
            # Directions that no record speaks of would otherwise become ever less certain, without bound.
            covariance *= min(1.0, float(np.trace(prior) / np.trace(covariance)))
        return LinearCorrection(dict(zip(names, weights.tolist(), strict=True)))
