"""Shapes of what the client gives back about validations: plain dicts.

Errors are fractions (0.15 is 15 %) of the measurement; bias is above 0 where too much was predicted. Latencies and
times are milliseconds, throughput items per second, memory megabytes (10^6 bytes). `figure` is latency, throughput or
memory.
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict


class DriftReport(TypedDict):
    """A lasting change of the level of signed errors: when it began and was noticed, in validations."""

    validations_since: int
    delay: int
    bias_before: float
    bias_after: float


class TrendReport(TypedDict):
    """Where an error goes: improving, worsening, stable or insufficient_data. `strength` is 0 to 1."""

    direction: str
    strength: float
    validation_count: int
    explanation: str
    slope_per_validation: NotRequired[float]
    p_value: NotRequired[float]
    drift: NotRequired[DriftReport]


class HistoryPoint(TypedDict):
    """One validation; `error_rates` and `bias` by figure, without those that have none."""

    validation_number: int
    execution_id: str
    end_time: datetime
    hardware_platform: str
    execution_strategy: str
    predicted_latency: float
    predicted_throughput: float
    predicted_memory: float
    actual_latency: float
    actual_throughput: float
    actual_memory: float
    error_rates: dict[str, float]
    bias: dict[str, float]
    predictor_version: str


class RefinementReport(TypedDict):
    """An attempt to refine the predictor. `hardware_platform` is "" where every platform was meant."""

    refinement_id: str
    hardware_platform: str
    method: str
    errors_before: dict[str, float]
    errors_after: dict[str, float]
    accepted: bool
    record_count: int
    held_out_count: int
    predictor_version_before: str
    predictor_version_after: str
    reason: str
    refine_time: datetime


class ValidationReport(TypedDict):
    """What validate_prediction gives back."""

    execution_id: str
    error_rates: dict[str, float]
    bias: dict[str, float]
    within_threshold: bool
    validation_count: int


class PlatformFindings(TypedDict):
    """What validations of one platform say. `recommended_method` is None where they are too few."""

    hardware_platform: str
    validation_count: int
    recent_error_rates: dict[str, float]
    bias: dict[str, float]
    consistent_biases: list[str]
    drifts: list[str]
    validations_since_attempt: int
    refinement_needed: bool
    recommended_method: str | None
    reason: str


class RecommendationReport(TypedDict):
    """What get_refinement_recommendations gives back.

    `recommended_method` is incremental, window or weighted: what suits, also where nothing is needed; None where
    validations are too few. `validation_count` is how many it rests on.
    """

    refinement_needed: bool
    recommended_method: str | None
    reason: str
    affected_platforms: list[str]
    affected_strategies: list[str]
    validation_count: int
    findings: list[PlatformFindings]
    error_threshold: float
    refinement_interval: int


class RecordedRefinement(TypedDict):
    """What record_model_refinement gives back. `improvement` is (before - after) / before, by figure."""

    refinement_id: str
    newly_recorded: bool
    refinement_count: int
    improvement: dict[str, float]
