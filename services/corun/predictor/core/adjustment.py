"""The quick part of correcting: what the newest executions of a place say about the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.predictor.core.chance import is_beyond_chance
from corun.predictor.core.correction import IDENTITY, LinearCorrection
from corun.predictor.core.interval import NINE_IN_TEN
from corun.predictor.core.memory_law import NO_LAW, MemoryLaw
from corun.predictor.core.ridge import Design, fit_ridge

# Executions after which one counts half.
_HALF_LIFE = 16.0
_LEAST_COUNT = 4
_TRIED = 12
# Standard errors by which a correction has to be better than a simpler one to be used: one time in ten by chance.
_BEYOND_CHANCE = 1.28
# Judged executions after which one counts half: after a change of the machine the older ones speak for what was right.
_JUDGED_HALF_LIFE = 4.0


@dataclass(frozen=True, slots=True)
class Residual:
    """A plan's features, and the logarithm of measured over predicted without the adjustment."""

    features: Mapping[str, float]
    log_ratio: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Of one place: the correction of latency, the law of memory, and the widths of their intervals in standard
    deviations."""

    latency: LinearCorrection = IDENTITY
    memory: MemoryLaw = NO_LAW
    latency_deviations: float = NINE_IN_TEN
    memory_deviations: float = NINE_IN_TEN


def fit_adjustment(residuals: Sequence[Residual]) -> LinearCorrection:
    """The correction that would have predicted the newest residuals best: none, a level, or one by features.

    Each is judged by predicting every one of the newest from those before it only (prequential; Dawid 1984).
    """
    if len(residuals) < _LEAST_COUNT:
        return IDENTITY
    targets = [each.log_ratio for each in residuals]
    design = Design.of([each.features for each in residuals])
    candidates = (None, design.level_only(), design)
    errors: tuple[list[float], ...] = ([], [], [])
    for index in range(max(2, len(residuals) - _TRIED), len(residuals)):
        for place, candidate in enumerate(candidates):
            factor = _fitted(candidate, targets[:index]).log_factor(residuals[index].features)
            errors[place].append(abs(residuals[index].log_ratio - factor))
    best = 0
    for place in (1, 2):
        if _better(errors[place], errors[best]):
            best = place
    return _fitted(candidates[best], targets)


def _better(errors: Sequence[float], than: Sequence[float]) -> bool:
    """By pairs of errors, as in the choice of the simplest of models that are alike (Breiman et al. 1984)."""
    gains = [other - own for own, other in zip(errors, than, strict=True)]
    weights = [math.pow(0.5, age / _JUDGED_HALF_LIFE) for age in reversed(range(len(gains)))]
    return is_beyond_chance(gains, standard_errors=_BEYOND_CHANCE, weights=weights)


def _fitted(design: Design | None, targets: Sequence[float]) -> LinearCorrection:
    """Fits the first rows of a design, as many as there are targets; without a design it is the identity."""
    if design is None:
        return IDENTITY
    weights = [math.pow(0.5, age / _HALF_LIFE) for age in reversed(range(len(targets)))]
    return fit_ridge(design.first(len(targets)), targets, weights)
