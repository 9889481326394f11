"""What every method of refinement takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from corun.predictor.core.correction import LEVEL, LinearCorrection
from corun.predictor.core.workload import Platform


class Method(StrEnum):
    """How a refined correction is found."""

    INCREMENTAL = "incremental"
    WINDOW = "window"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Sample:
    """One execution: what its plan is like, and the logarithm of measured over composed latency."""

    platform: Platform
    features: Mapping[str, float]
    log_ratio: float


class Estimator(Protocol):
    """Learns a correction. The same samples always give the same one."""

    def fit(self, samples: Sequence[Sample], *, platform: Platform, start: LinearCorrection) -> LinearCorrection:
        """The correction of `platform`.

        Args:
            samples: Oldest first; at least one of `platform`. Those of other platforms count only where the
                method says so.
            platform: Which platform's correction is refined.
            start: The one that serves it now.
        """


def fit_batch(samples: Sequence[Sample]) -> LinearCorrection:
    """Bayesian ridge regression (MacKay 1992; scikit-learn) on targets without wild values.

    How far weights are held towards 0 follows from the data by maximising their evidence, so there is nothing to
    tune for a machine with much noise or little. Targets beyond three robust standard deviations are moved there.
    """
    from sklearn.linear_model import BayesianRidge  # noqa: PLC0415  # takes seconds, and only refinement needs it

    names = sorted({name for each in samples for name in each.features} - {LEVEL})
    matrix = np.array([[each.features.get(name, 0.0) for name in names] for each in samples])
    target = np.array([each.log_ratio for each in samples])
    middle = float(np.median(target))
    reach = 3 * max(0.02, 1.4826 * float(np.median(np.abs(target - middle))))
    target = np.clip(target, middle - reach, middle + reach)
    if not names or len(samples) < 3 or float(np.ptp(target)) == 0.0:
        return LinearCorrection({LEVEL: middle})
    model = BayesianRidge().fit(matrix, target)
    weights = dict(zip(names, model.coef_.tolist(), strict=True))
    return LinearCorrection({LEVEL: float(model.intercept_), **weights})
