"""Bayesian linear regression in named features, unmoved by wild targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corun.predictor.core.correction import LEVEL, SHARED, LinearCorrection
from corun.predictor.core.robust import bisquare, lower_sigma

# Standard deviations expected before anything is seen: of one target, of a level, and of any other weight.
_NOISE, _LEVEL_SPREAD, _WEIGHT_SPREAD = 0.06, 0.4, 0.12
_ROUNDS = 4

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
    """The most likely weights under normal priors (ridge; Hoerl and Kennard 1970), by reweighted least squares.

    Targets far from the fit count less and less (bisquare; Beaton and Tukey 1974), far by what lies below it: other
    programs slow an execution down and never speed it up.

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
        residuals = target - matrix @ solution
        before, robust = robust, bisquare(residuals, lower_sigma(residuals.tolist()))
        if np.array_equal(before, robust):
            break
    return LinearCorrection(dict(zip(design.names, solution.tolist(), strict=True)))
