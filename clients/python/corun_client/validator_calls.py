"""Calls of the validator: the request, the deadline and how the answer is read. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client import deadlines
from corun_client.calls import ORCHESTRATOR, VALIDATOR, Call
from corun_client.conversion import refinement
from corun_client.conversion.dataset_records import DatasetRecord, dataset_record, dataset_request
from corun_client.conversion.names import platform_of, strategy_of
from corun_client.conversion.numbers import whole_number
from corun_client.conversion.validation_reports import RecommendationReport, RecordedRefinement, ValidationReport

_Report = TypeVar("_Report")
Metrics = validator_pb2.GetValidationMetricsResponse


def metrics_query(
    *,
    platform: object = None,
    strategy: object = None,
    recent_count: int | None = None,
    history_size: int | None = None,
    trends: bool = True,
    history: bool = False,
) -> validator_pb2.GetValidationMetricsRequest:
    """What is asked of the metrics; None leaves it to the service, or means all."""
    query = validator_pb2.GetValidationMetricsRequest(
        strategy=strategy_of(strategy), without_trends=not trends, with_history=history
    )
    if platform is not None:
        query.platform = platform_of(platform)
    if recent_count is not None:
        query.recent_count = whole_number(recent_count, parameter="recent_count")
    if history_size is not None:
        query.history_size = whole_number(history_size, parameter="history_size")
    return query


def metrics(
    query: validator_pb2.GetValidationMetricsRequest, read: Callable[[Metrics], _Report], timeout_seconds: float | None
) -> Call[_Report]:
    """The validator's metrics through the orchestrator."""
    request = orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest(query=query)
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "GetValidationMetrics", request, seconds, lambda answer: read(answer.metrics))


def validator_metrics(
    query: validator_pb2.GetValidationMetricsRequest, read: Callable[[Metrics], _Report], timeout_seconds: float | None
) -> Call[_Report]:
    """The validator's metrics from the validator itself."""
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(VALIDATOR, "GetValidationMetrics", query, seconds, read)


def validate_prediction(timeout_seconds: float | None, **given: Any) -> Call[ValidationReport]:
    """Holds a prediction against its measurement; arguments as those of `conversion.refinement.validate_request`."""
    request = refinement.validate_request(**given)
    name = request.execution.execution_id
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(
        VALIDATOR, "ValidatePrediction", request, seconds, lambda answer: refinement.validation_report(name, answer)
    )


def recommendations(
    *,
    platform: object,
    history_size: int | None,
    error_threshold: float | None,
    refinement_interval: int | None,
    timeout_seconds: float | None,
) -> Call[RecommendationReport]:
    """Whether and how the predictor should be refined."""
    request = refinement.recommendations_request(
        platform=platform,
        history_size=history_size,
        error_threshold=error_threshold,
        refinement_interval=refinement_interval,
    )
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(VALIDATOR, "GetRefinementRecommendations", request, seconds, refinement.recommendation_report)


def record_refinement(timeout_seconds: float | None, **given: Any) -> Call[RecordedRefinement]:
    """Puts a refinement on record; arguments as those of `conversion.refinement.refinement_request`."""
    request = refinement.refinement_request(**given)
    name = request.refinement.refinement_id
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(
        VALIDATOR,
        "RecordModelRefinement",
        request,
        seconds,
        lambda answer: refinement.recorded_refinement(name, answer),
    )


def dataset(
    *,
    platform: object,
    strategy: object,
    engine: str | None,
    after_time: datetime | None,
    max_records: int | None,
    include_unvalidated: bool,
    timeout_seconds: float | None,
) -> Call[DatasetRecord]:
    """Records of executions, one a response."""
    request = dataset_request(
        platform=platform,
        strategy=strategy,
        engine=engine,
        after_time=after_time,
        max_records=max_records,
        include_unvalidated=include_unvalidated,
    )
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE)
    return Call(VALIDATOR, "GenerateValidationDataset", request, seconds, dataset_record)
