"""What executions say of the things that a plan's peak memory hangs on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.interval import NOISE_FLOOR, robust_sigma
from corun.predictor.core.robust import bisquare

Array: TypeAlias = NDArray[np.float64]

# Repeats of one plan differ by half of it, but new lanes by more: loading leaves now more, now less behind.
_NOISE = 0.1
# Executions after which one counts half: memory changes with the browser's version, hardly with the machine's mood.
_HALF_LIFE = 32.0
_ROUNDS = 4
# No peak is corrected by more than this factor either way.
_LARGEST_FACTOR = 4.0


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

    @property
    def log_sigma(self) -> float:
        """Standard deviation of the logarithm of the peak as long as no execution told of it."""
        error_mb = math.hypot(*(factor.error_mb for factor in self.factors.values()))
        return max(NOISE_FLOOR, error_mb / self.total_mb)


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
        covariance: Of what is still uncertain of them.
    """

    names: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()
    covariance: Array = field(default_factory=lambda: np.zeros((0, 0)), compare=False, repr=False)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def applied(self, memory: PlanMemory) -> tuple[float, float]:
        """The peak, megabytes, and the standard deviation of its logarithm."""
        row = np.zeros(len(self.names))
        unknown_mb = []
        for name, factor in memory.factors.items():
            index = self._place.get(name)
            if index is None:
                unknown_mb.append(factor.error_mb)
            else:
                row[index] = factor.mb
        total = memory.total_mb
        peak = total + float(row @ np.asarray(self.offsets, dtype=float)) if self.names else total
        peak = min(total * _LARGEST_FACTOR, max(total / _LARGEST_FACTOR, peak))
        error_mb = math.hypot(math.sqrt(max(0.0, float(row @ self.covariance @ row))), *unknown_mb)
        return peak, max(NOISE_FLOOR, error_mb / peak)


NO_LAW = MemoryLaw()


def fit_memory_law(executions: Sequence[Weighed]) -> MemoryLaw:
    """The law of executions, oldest first: Bayesian linear regression in the factors, whose priors are what the models
    alone and the assumed rates say (Lindley and Smith 1972). Executions far from the fit count less and less (bisquare;
    Beaton and Tukey 1974)."""
    sigmas = {
        name: factor.sigma for each in executions for name, factor in each.composed.factors.items() if factor.error_mb
    }
    if not sigmas:
        return NO_LAW
    names = tuple(sorted(sigmas))
    rows = np.array(
        [[each.composed.factors[n].mb if n in each.composed.factors else 0.0 for n in names] for each in executions]
    )
    target = np.array([each.measured_mb - each.composed.total_mb for each in executions])
    noise_mb = np.array([_NOISE * each.measured_mb for each in executions])
    ages = np.arange(len(executions))[::-1]
    base = np.power(0.5, ages / _HALF_LIFE) / noise_mb**2
    precision = np.diag([1 / sigmas[name] ** 2 for name in names])
    robust = np.ones(len(executions))
    for _ in range(_ROUNDS):
        weighted = rows * (base * robust)[:, None]
        posterior = weighted.T @ rows + precision
        offsets = np.linalg.solve(posterior, weighted.T @ target)
        residuals = (target - rows @ offsets) / noise_mb
        before, robust = robust, bisquare(residuals, max(1.0, robust_sigma(residuals.tolist())))
        if np.array_equal(before, robust):
            break
    return MemoryLaw(names, tuple(offsets.tolist()), np.linalg.inv(posterior))
