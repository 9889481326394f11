"""The quick part of correcting: what the newest executions of a place say about the next one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from corun.predictor.core.correction import IDENTITY, SHARED, LinearCorrection
from corun.predictor.core.drift import latest_shift
from corun.predictor.core.interval import NINE_IN_TEN
from corun.predictor.core.ridge import fit_ridge

# Executions after which one counts half.
_HALF_LIFE = 16.0
_LEAST_COUNT = 4
_TRIED = 12
# Executions since a change from which on a kind of plan speaks for itself.
_TELLING = 3
# Standard errors by which a correction has to be better than a simpler one to be used.
_BEYOND_CHANCE = 1.28


@dataclass(frozen=True, slots=True)
class Residual:
    """A plan's features, and the logarithm of measured over predicted without the adjustment."""

    features: Mapping[str, float]
    log_ratio: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Of one place: corrections of latency and memory, and the widths of their intervals in standard deviations."""

    latency: LinearCorrection = IDENTITY
    memory: LinearCorrection = IDENTITY
    latency_deviations: float = NINE_IN_TEN
    memory_deviations: float = NINE_IN_TEN


Fit = Callable[[Sequence[Residual]], LinearCorrection]


def fit_adjustment(residuals: Sequence[Residual]) -> LinearCorrection:
    """The correction that would have predicted the newest residuals best: none, a level, or one by features.

    Each is judged by predicting every one of the newest from those before it only (prequential; Dawid 1984).
    """
    if len(residuals) < _LEAST_COUNT:
        return IDENTITY
    best: Fit = _identity
    least = _errors(best, residuals)
    for fit in (_level, _by_features):
        errors = _errors(fit, residuals)
        if _better(errors, least):
            best, least = fit, errors
    return best(residuals)


def _identity(_residuals: Sequence[Residual]) -> LinearCorrection:
    return IDENTITY


def _level(residuals: Sequence[Residual]) -> LinearCorrection:
    return _fitted(residuals, level_only=True)


def _by_features(residuals: Sequence[Residual]) -> LinearCorrection:
    return _fitted(residuals, level_only=False)


def _fitted(residuals: Sequence[Residual], *, level_only: bool) -> LinearCorrection:
    weights = [math.pow(0.5, age / _HALF_LIFE) for age in reversed(range(len(residuals)))]
    rows = [each.features for each in residuals]
    return fit_ridge(rows, _realigned(residuals), weights, level_only=level_only)


def _realigned(residuals: Sequence[Residual]) -> list[float]:
    """Targets at their newest level, that of plans that mostly share apart from that of others.

    A change that one of the two kinds shows, and the other one was run too seldom since to show or to deny, is
    taken to have come over both: what slows a machine slows all of it.
    """
    targets = [each.log_ratio for each in residuals]
    kinds: dict[bool, list[int]] = {False: [], True: []}
    for index, each in enumerate(residuals):
        kinds[each.features.get(SHARED, 0.0) > 0.5].append(index)
    shifts = {kind: latest_shift([targets[each] for each in members]) for kind, members in kinds.items()}
    aligned = list(targets)
    for kind, members in kinds.items():
        shift, other = shifts[kind], shifts[not kind]
        if shift is not None:
            start, size = members[shift.start], shift.size
        elif other is not None:
            start, size = kinds[not kind][other.start], other.size
            before, since = ([targets[each] for each in members if (each >= start) is newer] for newer in (False, True))
            if len(since) >= _TELLING or (before and since and _denied(before, since, size)):
                continue
        else:
            continue
        for index in members:
            aligned[index] += size if index < start else 0.0
    return aligned


def _denied(before: Sequence[float], since: Sequence[float], size: float) -> bool:
    return abs(statistics.median(since) - statistics.median(before)) < abs(size) / 2


def _errors(fit: Fit, residuals: Sequence[Residual]) -> list[float]:
    first = max(2, len(residuals) - _TRIED)
    errors = []
    for index in range(first, len(residuals)):
        correction = fit(residuals[:index])
        errors.append(abs(residuals[index].log_ratio - correction.log_factor(residuals[index].features)))
    return errors


def _better(errors: Sequence[float], than: Sequence[float]) -> bool:
    """The simplest that is within a standard error of the best (Breiman et al. 1984), by pairs of errors."""
    gains = [other - own for own, other in zip(errors, than, strict=True)]
    return statistics.fmean(gains) > _BEYOND_CHANCE * statistics.stdev(gains) / math.sqrt(len(gains))
