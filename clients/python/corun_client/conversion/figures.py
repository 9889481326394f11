"""Errors and moments of the validator's messages to plain values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from corun.v1 import predictor_service_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

FIGURES: tuple[Literal["latency", "throughput", "memory"], ...] = ("latency", "throughput", "memory")

METHODS = {
    "incremental": predictor_service_pb2.REFINEMENT_METHOD_INCREMENTAL,
    "window": predictor_service_pb2.REFINEMENT_METHOD_WINDOW,
    "weighted": predictor_service_pb2.REFINEMENT_METHOD_WEIGHTED,
}


def known_errors(errors: validator_pb2.ErrorRates | validator_pb2.SignedErrors) -> dict[str, float]:
    """Errors by figure, without those that have none."""
    return {figure: getattr(errors, figure) for figure in FIGURES if errors.HasField(figure)}


def moment_of(time: Timestamp) -> datetime:
    """The moment, aware, in UTC."""
    return time.ToDatetime(tzinfo=UTC)


def method_name(value: predictor_service_pb2.RefinementMethod.ValueType) -> str | None:
    """incremental, window or weighted; None for the unspecified one."""
    return next((name for name, known in METHODS.items() if known == value), None)
