"""Refinements of the predictor, as they are put on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite

from corun.validation.error_rates import ErrorRates, SignedErrors


class Method(StrEnum):
    """How the predictor is refined."""

    INCREMENTAL = "incremental"
    WINDOW = "window"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Refinement:
    """An attempt to refine the predictor.

    Attributes:
        platform: Whose correction was refined; None: every platform's.
        errors_before: Mean errors on the records it was judged by.
        errors_after: The same of the refined version.
        accepted: Whether the refined version serves.
        record_count: Records it was made of.
        held_out_count: Of them, those it was judged by.
        refine_time: Aware; None stands for the time of recording.
    """

    refinement_id: str
    platform: str | None
    method: Method
    errors_before: ErrorRates
    errors_after: ErrorRates
    accepted: bool
    record_count: int
    held_out_count: int
    predictor_version_before: str
    predictor_version_after: str
    reason: str
    refine_time: datetime | None


def improvement(refinement: Refinement) -> SignedErrors:
    """(before - after) / before of each figure that has both, where that is finite."""
    before, after = refinement.errors_before, refinement.errors_after
    return SignedErrors(
        latency=_gain(before.latency, after.latency),
        throughput=_gain(before.throughput, after.throughput),
        memory=_gain(before.memory, after.memory),
    )


def _gain(before: float | None, after: float | None) -> float | None:
    if not before or after is None:
        return None
    gain = (before - after) / before
    return gain if isfinite(gain) else None
