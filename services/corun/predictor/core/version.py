"""A refined correction with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Method
from corun.predictor.core.workload import Platform


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Corrections of all platforms, and what the newest of them rests on. Number 0 corrects nothing.

    Attributes:
        number: From 1, never used twice.
        parent: Number of the version that served when this one was made.
        method: How it was refined.
        platform: Whose correction it refined; the others are the parent's.
        created: Seconds since 1970.
        record_count: Usable records of the platform.
        held_out_count: Newest of them that it was judged on.
        error_before: Mean relative error of the parent there.
        error_after: Its own.
        request_id: Of the request that asked for it, or "".
        corrections: By platform.
    """

    number: int = 0
    parent: int = 0
    method: Method | None = None
    platform: Platform | None = None
    created: float = 0.0
    record_count: int = 0
    held_out_count: int = 0
    error_before: float = 0.0
    error_after: float = 0.0
    request_id: str = ""
    corrections: Mapping[Platform, LinearCorrection] = field(default_factory=dict)


BASE = ModelVersion()
