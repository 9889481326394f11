"""Validations whose errors are known: series of signed errors made from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from corun.validator.core.error_rates import error_rates, signed_errors
from corun.validator.core.history import Validation
from corun.validator.core.records import Performance

START = datetime(2026, 11, 1, tzinfo=UTC)
MEASURED = Performance(latency_ms=100.0, throughput_items_per_second=20.0, memory_mb=500.0)


def noise(seed: int, count: int, *, deviation: float, correlation: float = 0.0) -> NDArray[np.float64]:
    """Normal noise; neighbours correlate by `correlation`."""
    random = np.random.default_rng(seed)
    values = random.normal(0.0, deviation, count)
    for index in range(1, count):
        values[index] = correlation * values[index - 1] + values[index] * (1 - correlation**2) ** 0.5
    return values


def validation(
    number: int, signed_error: float, *, platform: str = "wasm", strategy: str = "parallel", memory_error: float = 0.0
) -> Validation:
    """A validation with this signed error of latency (and the throughput that goes with it)."""
    predicted = Performance(
        MEASURED.latency_ms * (1 + signed_error),
        MEASURED.throughput_items_per_second / (1 + signed_error),
        MEASURED.memory_mb * (1 + memory_error),
    )
    return Validation(
        number=number,
        execution_id=f"e{number}",
        end_time=START + timedelta(seconds=number),
        platform=platform,
        strategy=strategy,
        predictor_version="1",
        predicted=predicted,
        measured=MEASURED,
        errors=error_rates(predicted, MEASURED),
        bias=signed_errors(predicted, MEASURED),
    )


def validations(
    latency_errors: Iterable[float], *, platform: str = "wasm", strategy: str = "parallel"
) -> list[Validation]:
    """Validations with these signed errors of latency, in order."""
    return [
        validation(number, float(error), platform=platform, strategy=strategy)
        for number, error in enumerate(latency_errors, 1)
    ]
