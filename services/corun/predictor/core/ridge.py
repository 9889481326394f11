"""Bayesian linear regression in named features, unmoved by wild targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from corun.predictor.core.correction import LEVEL, SHARED, LinearCorrection
from corun.predictor.core.robust import bisquare, lower_sigma

# Standard deviations expected before anything is seen: of one target, of a level, and of any other weight.
_NOISE, _LEVEL_SPREAD, _WEIGHT_SPREAD = 0.06, 0.4, 0.12
_ROUNDS = 4

Rows = Sequence[Mapping[str, float]]


def fit_ridge(
    rows: Rows,
    targets: Sequence[float],
    weights: Sequence[float],
    *,
    level_only: bool = False,
) -> LinearCorrection:
    """The most likely weights under normal priors (ridge; Hoerl and Kennard 1970), by reweighted least squares.

    Targets far from the fit count less and less (bisquare; Beaton and Tukey 1974), far by what lies below it: other
    programs slow an execution down and never speed it up.

    `weights` are the counts that the rows stand for; with `level_only` no other feature counts.
    """
    names = [LEVEL] if level_only else sorted({name for row in rows for name in row})
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    target, base = np.asarray(targets, dtype=float), np.asarray(weights, dtype=float)
    spreads = np.array([_LEVEL_SPREAD if name in (LEVEL, SHARED) else _WEIGHT_SPREAD for name in names])
    penalty = np.diag((_NOISE / spreads) ** 2)
    robust = np.ones(len(rows))
    solution = np.zeros(len(names))
    for _ in range(_ROUNDS):
        weighted = matrix * (base * robust)[:, None]
        solution = np.linalg.solve(weighted.T @ matrix + penalty, weighted.T @ target)
        residuals = (target - matrix @ solution).tolist()
        sigma = lower_sigma(residuals)
        robust = np.array([bisquare(each, sigma) for each in residuals])
    return LinearCorrection(dict(zip(names, solution.tolist(), strict=True)))
