"""What executions say of the things that a plan's peak memory hangs on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.interval import robust_sigma
from corun.predictor.core.robust import bisquare

Array: TypeAlias = NDArray[np.float64]

# Executions after which one counts half: memory changes with the browser's version, hardly with the machine's mood.
_HALF_LIFE = 32.0
_ROUNDS = 4
# An execution that weighs less than this is left out: it would be a division by nothing.
_LEAST_WEIGHT = 1e-6
# No peak is corrected by more than this factor either way.
_LARGEST_FACTOR = 4.0


# Repeats of one plan differ by half of it or less, but new lanes by more: loading leaves now more, now less behind.
MEMORY_NOISE = 0.08
# What a peak hangs on beside the sessions of each model: megabytes that lanes share of their runtimes, the share of
# a lane's idle sessions that is not used again by others, the share of scratch space that lanes do not need at the same
# time, and megabytes of a runtime.
SHARED, STACKED, OVERLAP, RUNTIME = "shared", "stacked", "overlap", "runtime"


@dataclass(frozen=True, slots=True)
class Factor:
    """Something that a peak hangs on: megabytes of the peak for each unit of it, and the standard deviation of what is
    assumed of it, in units."""

    mb: float
    sigma: float

    @property
    def error_mb(self) -> float:
        """Standard deviation of the peak because of it, megabytes."""
        return abs(self.mb) * self.sigma


@dataclass(frozen=True, slots=True)
class PlanMemory:
    """Parts of the peak, megabytes, and what they hang on by name.

    `shared_mb` is what the lanes share of their runtimes; `lanes_mb` is without it.
    """

    weights_mb: float
    scratch_mb: float
    lanes_mb: float
    shared_mb: float
    factors: Mapping[str, Factor]

    @property
    def total_mb(self) -> float:
        """The peak."""
        return self.weights_mb + self.scratch_mb + self.lanes_mb


def model_factor(model_name: str) -> str:
    """The name of the factor by which sessions of a model are larger than assumed, less 1."""
    return f"model:{model_name}"


@dataclass(frozen=True, slots=True)
class Weighed:
    """An execution: its peak as it was composed and as it was measured, megabytes."""

    composed: PlanMemory
    measured_mb: float


@dataclass(frozen=True)
class MemoryLaw:
    """How far each factor of a peak is from what is assumed of it, and how uncertain that still is.

    Attributes:
        names: Factors that executions say something of, in the order of the figures.
        offsets: Most likely, in units of each factor.
        explained: What executions have taken from the variance of the factors, as the rows of a root of it.
    """

    names: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()
    explained: Array = field(default_factory=lambda: np.zeros((0, 0)), compare=False, repr=False)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def applied(self, memory: PlanMemory) -> tuple[float, float]:
        """The peak, megabytes, and the standard deviation of the logarithm of one measurement of it."""
        known = [(self._place[name], factor.mb) for name, factor in memory.factors.items() if name in self._place]
        variance = sum(factor.error_mb**2 for factor in memory.factors.values())
        peak = memory.total_mb + sum(self.offsets[place] * mb for place, mb in known)
        peak = min(memory.total_mb * _LARGEST_FACTOR, max(memory.total_mb / _LARGEST_FACTOR, peak))
        if known:
            places, sizes = zip(*known, strict=True)
            taken = self.explained[:, places] @ np.array(sizes)
            variance = max(0.0, variance - float(taken @ taken))
        return peak, math.hypot(MEMORY_NOISE, math.sqrt(variance) / peak)


NO_LAW = MemoryLaw()


def fit_memory_law(executions: Sequence[Weighed]) -> MemoryLaw:
    """The law of executions, oldest first: Bayesian linear regression in the factors, whose priors are what the models
    alone and the assumed rates say (Lindley and Smith 1972). Executions far from the fit count less and less (bisquare;
    Beaton and Tukey 1974).

    It is worked out in the space of the executions, of which there are fewer than models may be.
    """
    sigmas = {
        name: factor.sigma for each in executions for name, factor in each.composed.factors.items() if factor.error_mb
    }
    if not sigmas:
        return NO_LAW
    names = tuple(sorted(sigmas))
    place = {name: index for index, name in enumerate(names)}
    rows = np.zeros((len(executions), len(names)))
    for row, each in zip(rows, executions, strict=True):
        for name, factor in each.composed.factors.items():
            if name in place:
                row[place[name]] = factor.mb
    target = np.array([each.measured_mb - each.composed.total_mb for each in executions])
    noise_mb = np.array([MEMORY_NOISE * each.composed.total_mb for each in executions])
    ages = np.arange(len(executions))[::-1]
    base = np.power(0.5, ages / _HALF_LIFE) / noise_mb**2
    spread = rows * np.array([sigmas[name] ** 2 for name in names])
    robust = np.ones(len(executions))
    for _ in range(_ROUNDS):
        counted = robust > _LEAST_WEIGHT
        own = spread[counted]
        root = np.linalg.cholesky(own @ rows[counted].T + np.diag(1 / (base * robust)[counted]))
        explained = np.linalg.solve(root, own)
        offsets = explained.T @ np.linalg.solve(root, target[counted])
        residuals = (target - rows @ offsets) / noise_mb
        before, robust = robust, bisquare(residuals, max(1.0, robust_sigma(residuals.tolist())))
        if np.array_equal(before, robust) or not (robust > _LEAST_WEIGHT).any():
            break
    return MemoryLaw(names, tuple(offsets.tolist()), explained)
