"""A preferred browser that could not serve, and the one that did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from corun.v1 import resource_pool_service_pb2 as pool_pb2


class FallbackReport(TypedDict):
    """Another browser served than was preferred. `model_type` is "" where a single model was run."""

    model_type: str
    preferred: str
    used: str
    reason: str


def fallback_report(fallback: pool_pb2.EngineFallback) -> FallbackReport:
    """One fallback."""
    return {
        "model_type": fallback.model_type,
        "preferred": fallback.preferred,
        "used": fallback.used,
        "reason": fallback.reason,
    }


def fallback_reports(fallbacks: Iterable[pool_pb2.EngineFallback]) -> list[FallbackReport]:
    """All of them, in order."""
    return [fallback_report(each) for each in fallbacks]


def fallback_of(
    answer: pool_pb2.InferResponse | pool_pb2.LoadModelResponse | pool_pb2.ShareTensorResponse,
) -> FallbackReport | None:
    """The fallback of an answer, or None when the preferred browser served."""
    return fallback_report(answer.fallback) if answer.HasField("fallback") else None
