"""Bayesian linear regression in named features, unmoved by wild targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from corun.predictor.core.correction import LEVEL, SHARED, LinearCorrection

# Standard deviations expected before anything is seen: of one target, of a level, and of any other weight.
_NOISE, _LEVEL_SPREAD, _WEIGHT_SPREAD = 0.06, 0.4, 0.12
_ROUNDS = 4
_HUBER = 1.5

Rows = Sequence[Mapping[str, float]]


def fit_ridge(
    rows: Rows,
    targets: Sequence[float],
    weights: Sequence[float],
    *,
    level_only: bool = False,
) -> LinearCorrection:
    """The most likely weights under normal priors (ridge; Hoerl and Kennard 1970) with Huber's loss (1964).

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
        residuals = np.abs(target - matrix @ solution)
        scale = max(_NOISE, 1.4826 * float(np.median(residuals)))
        robust = np.minimum(1.0, _HUBER * scale / np.maximum(residuals, 1e-12))
    return LinearCorrection(dict(zip(names, solution.tolist(), strict=True)))
