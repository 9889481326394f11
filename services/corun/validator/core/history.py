"""Validations as they are looked at: in the order they were recorded, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from corun.validator.core.error_rates import ErrorRates, SignedErrors
from corun.validator.core.records import Performance

FIGURES = ("latency", "throughput", "memory")
"""What is predicted and measured; attributes of ErrorRates and SignedErrors."""


@dataclass(frozen=True, slots=True)
class Validation:
    """One prediction held against its measurement.

    Attributes:
        number: Counts validations in the order they were recorded.
        end_time: Of its execution; aware, UTC.
    """

    number: int
    execution_id: str
    end_time: datetime
    platform: str
    strategy: str
    predictor_version: str
    predicted: Performance
    measured: Performance
    errors: ErrorRates
    bias: SignedErrors


def errors_of(history: Iterable[Validation], figure: str) -> list[float]:
    """Errors of one of FIGURES, without those that have none."""
    found = (getattr(each.errors, figure) for each in history)
    return [error for error in found if error is not None]


def signed_errors_of(history: Iterable[Validation], figure: str) -> list[float]:
    """Errors with their signs of one of FIGURES, without those that have none."""
    found = (getattr(each.bias, figure) for each in history)
    return [error for error in found if error is not None]


def mean_errors(history: Sequence[Validation]) -> ErrorRates:
    """Means of each figure; None where no validation has one."""
    return ErrorRates(*(_mean(errors_of(history, figure)) for figure in FIGURES))


def mean_bias(history: Sequence[Validation]) -> SignedErrors:
    """Means with signs of each figure; None where no validation has one."""
    return SignedErrors(*(_mean(signed_errors_of(history, figure)) for figure in FIGURES))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
