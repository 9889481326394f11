"""Judging a refined correction on the newest records before it may serve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corun.predictor.core.chance import is_beyond_chance
from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Estimator, Method, Sample
from corun.predictor.core.incremental import Incremental
from corun.predictor.core.weighted import Weighted
from corun.predictor.core.window import Window
from corun.predictor.core.workload import Platform

ESTIMATORS: Mapping[Method, Estimator] = {
    Method.INCREMENTAL: Incremental(),
    Method.WINDOW: Window(),
    Method.WEIGHTED: Weighted(),
}
LEAST_RECORDS = 12
_HELD_OUT_SHARE, _LEAST_HELD_OUT, _MOST_HELD_OUT = 0.25, 4, 100
# Standard errors by which a refinement has to lower the error: less happens by chance once in twenty.
_BEYOND_CHANCE = 1.645
# What a refinement may lose on executions that the predictor has seen itself, which nobody sent it for refining.
_LARGEST_LOSS = 0.03
_LEAST_OWN = 8
# Beyond this the middle record is not another machine but another unit, or a wrong label.
_LARGEST_MIDDLE_RATIO = 5.0
# Where latencies are expected to differ this much (standard deviation of logarithms), measured ones follow them.
_TELLING_SPREAD, _LEAST_CORRELATION = 0.25, 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a refinement may serve, and why.

    `error_before` and `error_after` are mean abs(predicted - measured) / measured over the same `held_out_count`
    newest records, by the serving correction and by the refined one; None where it did not come to that.
    """

    accepted: bool
    reason: str
    record_count: int
    held_out_count: int = 0
    error_before: float | None = None
    error_after: float | None = None
    correction: LinearCorrection | None = None


def refine(
    samples: Sequence[Sample],
    *,
    method: Method,
    platform: Platform,
    serving: LinearCorrection,
    composed_ms: Sequence[float],
    own: Sequence[Sample] = (),
) -> Judgement:
    """Fits a correction to the older samples and judges it on the newest ones, which it was not fitted on.

    Args:
        samples: Oldest first.
        method: How to fit.
        platform: Whose correction is refined; only its samples are judged on.
        serving: The correction that serves it.
        composed_ms: The composed latency of each sample, milliseconds.
        own: Newest executions on `platform` that the predictor has seen itself.
    """
    indexes = [index for index, each in enumerate(samples) if each.platform is platform]
    count = len(indexes)
    if count < LEAST_RECORDS:
        return Judgement(False, f"{count} usable records of {platform}: at least {LEAST_RECORDS} are needed", count)
    problem = _poison([samples[index].log_ratio for index in indexes], [composed_ms[index] for index in indexes])
    if problem is not None:
        return Judgement(False, problem, count)
    held_out = min(_MOST_HELD_OUT, max(_LEAST_HELD_OUT, round(_HELD_OUT_SHARE * count)))
    cut = indexes[-held_out]
    newest = [samples[index] for index in indexes[-held_out:]]
    refined = ESTIMATORS[method].fit(samples[:cut], platform=platform, start=serving)
    before, after = mean_error(serving, newest), mean_error(refined, newest)
    accepted, reason = _verdict(serving, refined, newest)
    if accepted and len(own) >= _LEAST_OWN:
        lost = mean_error(refined, own) - mean_error(serving, own)
        if lost > _LARGEST_LOSS:
            accepted = False
            reason = f"better on these records, but {lost:.1%} worse on the newest {len(own)} executions seen here"
    return Judgement(accepted, reason, count, held_out, before, after, refined if accepted else None)


def mean_error(correction: LinearCorrection, samples: Sequence[Sample]) -> float:
    """Mean abs(predicted - measured) / measured; at least one sample."""
    return float(np.mean(_errors(correction, samples)))


def _errors(correction: LinearCorrection, samples: Sequence[Sample]) -> list[float]:
    return [abs(math.expm1(correction.log_factor(each.features) - each.log_ratio)) for each in samples]


def _verdict(serving: LinearCorrection, refined: LinearCorrection, newest: Sequence[Sample]) -> tuple[bool, str]:
    """Better is what pairs of errors on the same records say beyond chance (one-sided paired test)."""
    before, after = _errors(serving, newest), _errors(refined, newest)
    gains = [old - new for old, new in zip(before, after, strict=True)]
    figures = (
        f"mean error {np.mean(after):.1%} against {np.mean(before):.1%} on the newest {len(newest)} records, "
        "which it was not fitted on"
    )
    if is_beyond_chance(gains, standard_errors=_BEYOND_CHANCE):
        return True, f"better: {figures}"
    return False, f"not better beyond chance: {figures}; the version that served still does"


def _poison(log_ratios: Sequence[float], composed_ms: Sequence[float]) -> str | None:
    """Why the records as a whole cannot be what they claim; None where they can."""
    middle = math.exp(float(np.median(log_ratios)))
    if max(middle, 1 / middle) > _LARGEST_MIDDLE_RATIO:
        return f"the middle record took {middle:.2g} times what its runs take: check units and labels"
    composed = np.log(composed_ms)
    if float(composed.std()) < _TELLING_SPREAD:
        return None
    measured = composed + np.asarray(log_ratios)
    correlation = float(np.corrcoef(_ranks(composed), _ranks(measured))[0, 1])
    if correlation < _LEAST_CORRELATION:
        return (
            f"latencies do not follow the plans that they are said to be of (rank correlation {correlation:.2f}): "
            "check that the labels were not mixed up"
        )
    return None


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Spearman's (1904): correlation of these does not depend on the scale, nor much on a wild value."""
    return values.argsort(kind="stable").argsort(kind="stable")
