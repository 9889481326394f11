"""Refinement by the newest records only, from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Sample, fit_batch
from corun.predictor.core.workload import Platform

NEWEST = 200


class Window:
    """A fit of the platform's newest records, whatever served before.

    For a consistent bias or after a change of the machine: nothing older than the window holds it back.
    """

    def fit(self, samples: Sequence[Sample], *, platform: Platform, start: LinearCorrection) -> LinearCorrection:
        """Neither the serving correction nor samples of other platforms count."""
        del start
        return fit_batch([each for each in samples if each.platform is platform][-NEWEST:])
