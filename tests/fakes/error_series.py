"""Series of signed errors made from a seed, and validations that have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corun.validator.core.findings import Evidence
from corun.validator.core.history import History


def noise(seed: int, count: int, *, deviation: float, correlation: float = 0.0) -> NDArray[np.float64]:
    """Normal noise; neighbours correlate by `correlation`."""
    random = np.random.default_rng(seed)
    values = random.normal(0.0, deviation, count)
    for index in range(1, count):
        values[index] = correlation * values[index - 1] + values[index] * (1 - correlation**2) ** 0.5
    return values


def evidence(
    errors: Sequence[float] | NDArray[np.float64],
    *,
    platform: str = "wasm",
    strategies: Sequence[str] = ("parallel",),
    since_attempt: int | None = None,
) -> Evidence:
    """What is known of a platform whose signed errors of latency these are, strategies in turn."""
    rows = [
        (platform, strategies[index % len(strategies)], float(error), 1 / (1 + float(error)) - 1, 0.0)
        for index, error in enumerate(errors)
    ]
    return Evidence(History.of(rows), len(rows) if since_attempt is None else since_attempt)
