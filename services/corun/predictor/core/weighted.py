"""Refinement by a combination of models that see more or less far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Sample, fit_batch
from corun.predictor.core.workload import Platform

_RECENT = 40
_HELD_OUT_SHARE = 0.25
_LEAST_HELD_OUT = 4


class Weighted:
    """Stacking (Wolpert 1992) of a model of all platforms, one of this platform, one of its newest records, and
    the correction that serves, with non-negative weights (Breiman 1996).

    For errors that differ across platforms: how much a platform has in common with the others, and how much with
    its own past, is read off records that the parts were not fitted on. It is the one method by which records of
    other platforms count.
    """

    def fit(self, samples: Sequence[Sample], *, platform: Platform, start: LinearCorrection) -> LinearCorrection:
        """A corrections' weighted sum, which is a correction too."""
        own = [index for index, each in enumerate(samples) if each.platform is platform]
        held_out = max(_LEAST_HELD_OUT, round(_HELD_OUT_SHARE * len(own)))
        if len(own) <= 2 * held_out:
            return fit_batch([samples[index] for index in own])
        cut = own[-held_out]
        shares = _shares(_parts(samples[:cut], platform, start), [samples[index] for index in own[-held_out:]])
        parts = _parts(samples, platform, start)
        names = sorted({name for part in parts for name in part.weights})
        return LinearCorrection(
            {
                name: sum(share * part.weights.get(name, 0.0) for share, part in zip(shares, parts, strict=True))
                for name in names
            }
        )


def _parts(samples: Sequence[Sample], platform: Platform, start: LinearCorrection) -> list[LinearCorrection]:
    own = [each for each in samples if each.platform is platform]
    return [fit_batch(samples), fit_batch(own), fit_batch(own[-_RECENT:]), start]


def _shares(parts: Sequence[LinearCorrection], held_out: Sequence[Sample]) -> list[float]:
    """Non-negative, at most 1 in sum: what is missing to 1 is no correction at all."""
    from scipy.optimize import nnls  # noqa: PLC0415  # only refinement needs it

    matrix = np.array([[part.log_factor(each.features) for part in parts] for each in held_out])
    target = np.array([each.log_ratio for each in held_out])
    shares, _ = nnls(matrix, target)
    return [float(each) for each in shares / max(1.0, float(shares.sum()))]
