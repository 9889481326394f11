"""How far a prediction is from its measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from corun.errors import InvalidField

LARGEST_RATE = 1e12
"""Errors of which thousands can be summed and squared; larger ones come of units mixed up."""


class Figures(Protocol):
    """Figures of one run of a workload, predicted or measured; finite and not negative."""

    @property
    def latency_ms(self) -> float: ...

    @property
    def throughput_items_per_second(self) -> float: ...

    @property
    def memory_mb(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Relative errors, 0.15 meaning 15 %. None where a figure has no error."""

    latency: float | None = None
    throughput: float | None = None
    memory: float | None = None

    def within(self, threshold: float) -> bool:
        """True when no error is over `threshold`."""
        return all(rate is None or rate <= threshold for rate in (self.latency, self.throughput, self.memory))


@dataclass(frozen=True, slots=True)
class SignedErrors:
    """Relative errors with their signs: above 0 where too much was predicted. None where a figure has no error."""

    latency: float | None = None
    throughput: float | None = None
    memory: float | None = None


def error_rate(predicted: float, measured: float) -> float | None:
    """abs(predicted - measured) / measured; None where `measured` is 0, against which nothing can be relative.

    Infinite where the quotient is beyond floating point.
    """
    if measured == 0:
        return None
    return abs(predicted - measured) / measured


def error_rates(predicted: Figures, measured: Figures) -> ErrorRates:
    """The errors of one validation.

    Raises:
        InvalidField: when a measured figure is so small that its error is beyond all reason.
    """
    return ErrorRates(
        latency=_finite_rate("latency_ms", predicted.latency_ms, measured.latency_ms),
        throughput=_finite_rate(
            "throughput_items_per_second",
            predicted.throughput_items_per_second,
            measured.throughput_items_per_second,
        ),
        memory=_finite_rate("memory_mb", predicted.memory_mb, measured.memory_mb),
    )


def signed_errors(predicted: Figures, measured: Figures) -> SignedErrors:
    """(predicted - measured) / measured of each figure; None where it was measured as 0."""
    return SignedErrors(
        latency=_signed(predicted.latency_ms, measured.latency_ms),
        throughput=_signed(predicted.throughput_items_per_second, measured.throughput_items_per_second),
        memory=_signed(predicted.memory_mb, measured.memory_mb),
    )


def _signed(predicted: float, measured: float) -> float | None:
    return None if measured == 0 else (predicted - measured) / measured


def _finite_rate(figure: str, predicted: float, measured: float) -> float | None:
    rate = error_rate(predicted, measured)
    if rate is not None and rate > LARGEST_RATE:
        raise InvalidField(
            f"execution.measured.{figure}",
            f"{measured!r} is too small for an error against the predicted {predicted!r}; check the units",
        )
    return rate
