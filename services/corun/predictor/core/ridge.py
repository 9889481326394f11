"""Bayesian linear regression in named features, unmoved by wild targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.correction import LEVEL, SHARED, LinearCorrection

# Standard deviations expected before anything is seen: of one target, of a level, and of any other weight.
_NOISE, _LEVEL_SPREAD, _WEIGHT_SPREAD = 0.06, 0.4, 0.12
_ROUNDS = 4
_HUBER = 1.5

Array: TypeAlias = NDArray[np.float64]
Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Design:
    """Rows of named features as a matrix; a feature that a row lacks is 0."""

    names: tuple[str, ...]
    matrix: Array

    @classmethod
    def of(cls, rows: Rows) -> Design:
        """Of all features that any row has."""
        names = tuple(sorted({name for row in rows for name in row}))
        return cls(names, np.array([[row.get(name, 0.0) for name in names] for row in rows]))

    def first(self, count: int) -> Design:
        """The first rows only."""
        return Design(self.names, self.matrix[:count])

    def level_only(self) -> Design:
        """Without any other feature than the level."""
        place = self.names.index(LEVEL)
        return Design((LEVEL,), self.matrix[:, place : place + 1])


def fit_ridge(design: Design, targets: Sequence[float], weights: Sequence[float]) -> LinearCorrection:
    """The most likely weights under normal priors (ridge; Hoerl and Kennard 1970) with Huber's loss (1964).

    `weights` are the counts that the rows stand for. A feature that no row has gets the weight 0.
    """
    matrix = design.matrix
    target, base = np.asarray(targets, dtype=float), np.asarray(weights, dtype=float)
    spreads = np.array([_LEVEL_SPREAD if name in (LEVEL, SHARED) else _WEIGHT_SPREAD for name in design.names])
    penalty = np.diag((_NOISE / spreads) ** 2)
    robust = np.ones(len(matrix))
    solution = np.zeros(len(design.names))
    for _ in range(_ROUNDS):
        weighted = matrix * (base * robust)[:, None]
        solution = np.linalg.solve(weighted.T @ matrix + penalty, weighted.T @ target)
        residuals = np.abs(target - matrix @ solution)
        scale = max(_NOISE, 1.4826 * statistics.median(residuals.tolist()))
        before, robust = robust, np.minimum(1.0, _HUBER * scale / np.maximum(residuals, 1e-12))
        if np.array_equal(before, robust):
            break
    return LinearCorrection(dict(zip(design.names, solution.tolist(), strict=True)))
