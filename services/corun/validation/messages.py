"""Figures and errors to messages, and back."""

from __future__ import annotations

from corun.v1 import validator_service_pb2 as pb
from corun.validation.error_rates import ErrorRates, Figures, SignedErrors


def rates_message(rates: ErrorRates) -> pb.ErrorRates:
    """Errors; one that is None is absent."""
    return pb.ErrorRates(latency=rates.latency, throughput=rates.throughput, memory=rates.memory)


def rates_of(message: pb.ErrorRates) -> ErrorRates:
    """Errors; one that is absent is None."""
    return ErrorRates(
        latency=message.latency if message.HasField("latency") else None,
        throughput=message.throughput if message.HasField("throughput") else None,
        memory=message.memory if message.HasField("memory") else None,
    )


def signed_message(errors: SignedErrors) -> pb.SignedErrors:
    """Errors with their signs; one that is None is absent."""
    return pb.SignedErrors(latency=errors.latency, throughput=errors.throughput, memory=errors.memory)


def judgement_message(
    errors: ErrorRates, bias: SignedErrors, *, error_threshold: float, validation_count: int = 0
) -> pb.ValidatePredictionResponse:
    """What a validation says; the count is 0 where it is not known yet."""
    return pb.ValidatePredictionResponse(
        errors=rates_message(errors),
        within_threshold=errors.within(error_threshold),
        validation_count=validation_count,
        bias=signed_message(bias),
    )


def performance_message(performance: Figures) -> pb.RecordedPerformance:
    """Figures in the same units."""
    return pb.RecordedPerformance(
        latency_ms=performance.latency_ms,
        throughput_items_per_second=performance.throughput_items_per_second,
        memory_mb=performance.memory_mb,
    )
