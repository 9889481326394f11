"""Refinement by the newest records only, from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.drift import latest_shift
from corun.predictor.core.estimators import Sample, fit_batch
from corun.predictor.core.workload import Platform

NEWEST = 200


class Window:
    """A fit of the platform's newest records, whatever served before: those since their latest change of level.

    For a consistent bias or after a change of the machine: nothing older than the window holds it back.
    """

    def fit(self, samples: Sequence[Sample], *, platform: Platform, start: LinearCorrection) -> LinearCorrection:
        """Neither the serving correction nor samples of other platforms count."""
        del start
        newest = [each for each in samples if each.platform is platform][-NEWEST:]
        shift = latest_shift([each.log_ratio for each in newest])
        return fit_batch(newest if shift is None else newest[shift.start :])
