"""Arguments and answers of validating, recommending and recording refinements."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from uuid import uuid4

from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client.conversion.figures import FIGURES, METHODS, known_errors, method_name
from corun_client.conversion.names import goal_of, platform_name, platform_of, strategy_name, strategy_of
from corun_client.conversion.numbers import error_threshold_of, whole_number
from corun_client.conversion.requests import workload_of
from corun_client.conversion.validation_reports import RecommendationReport, RecordedRefinement, ValidationReport
from corun_client.errors import InvalidArgument

_FIELDS = {"latency": "latency_ms", "throughput": "throughput_items_per_second", "memory": "memory_mb"}


def validate_request(
    *,
    prediction: object,
    actual_measurement: object,
    model_configs: object,
    hardware_platform: object,
    execution_strategy: object,
    optimization_goal: object,
    error_threshold: float | None,
    execution_id: str | None,
    engine: str,
    predictor_version: str,
) -> validator_pb2.ValidatePredictionRequest:
    """Request of ValidatePrediction. Raises InvalidArgument for what is no figure."""
    if execution_strategy is None:
        raise InvalidArgument.of("execution_strategy", "None is not the strategy that ran")
    record = validator_pb2.ExecutionRecord(
        execution_id=str(uuid4()) if execution_id is None else execution_id,
        workload=workload_of(model_configs, parameter="model_configs"),  # type: ignore[arg-type]  # it checks
        platform=platform_of(hardware_platform, parameter="hardware_platform"),
        strategy=strategy_of(execution_strategy, parameter="execution_strategy"),
        goal=goal_of(optimization_goal, parameter="optimization_goal"),
        engine=engine,
        predictor_version=predictor_version,
        predicted=_performance(prediction, parameter="prediction", prefix="predicted_"),
        measured=_performance(actual_measurement, parameter="actual_measurement", prefix="actual_"),
    )
    record.end_time.GetCurrentTime()
    return validator_pb2.ValidatePredictionRequest(execution=record, error_threshold=error_threshold)


def validation_report(execution_id: str, answer: validator_pb2.ValidatePredictionResponse) -> ValidationReport:
    """What the validator said of one prediction."""
    return {
        "execution_id": execution_id,
        "error_rates": known_errors(answer.errors),
        "bias": known_errors(answer.bias),
        "within_threshold": answer.within_threshold,
        "validation_count": answer.validation_count,
    }


def recommendations_request(
    *,
    platform: object,
    history_size: int | None,
    error_threshold: float | None,
    refinement_interval: int | None,
) -> validator_pb2.GetRefinementRecommendationsRequest:
    """Request of GetRefinementRecommendations; None leaves it to the service."""
    request = validator_pb2.GetRefinementRecommendationsRequest()
    if platform is not None:
        request.platform = platform_of(platform, parameter="hardware_platform")
    if history_size is not None:
        request.history_size = whole_number(history_size, parameter="history_size")
    if error_threshold is not None:
        request.error_threshold = error_threshold_of(error_threshold)
    if refinement_interval is not None:
        request.refinement_interval = whole_number(refinement_interval, parameter="refinement_interval")
    return request


def recommendation_report(answer: validator_pb2.GetRefinementRecommendationsResponse) -> RecommendationReport:
    """The verdict, and what was found on each platform."""
    return {
        "refinement_needed": answer.refinement_needed,
        "recommended_method": method_name(answer.recommended_method),
        "reason": answer.reason,
        "affected_platforms": [platform_name(each) for each in answer.affected_platforms],
        "affected_strategies": [strategy_name(each) for each in answer.affected_strategies],
        "validation_count": answer.validation_count,
        "findings": [
            {
                "hardware_platform": platform_name(each.platform),
                "validation_count": each.validation_count,
                "recent_error_rates": known_errors(each.recent),
                "bias": known_errors(each.bias),
                "consistent_biases": list(each.consistent_biases),
                "drifts": list(each.drifts),
                "validations_since_attempt": each.validations_since_attempt,
                "refinement_needed": each.refinement_needed,
                "recommended_method": method_name(each.method),
                "reason": each.reason,
            }
            for each in answer.findings
        ],
        "error_threshold": answer.error_threshold,
        "refinement_interval": answer.refinement_interval,
    }


def refinement_request(
    *,
    errors_before: object,
    errors_after: object,
    method: object,
    platform: object,
    accepted: bool,
    record_count: int,
    held_out_count: int,
    predictor_version_before: str,
    predictor_version_after: str,
    reason: str,
    refinement_id: str | None,
) -> validator_pb2.RecordModelRefinementRequest:
    """Request of RecordModelRefinement. Raises InvalidArgument for what is no error or no method."""
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidArgument.of("refinement_method", f"{method!r} is not known; allowed: {', '.join(METHODS)}")
    refinement = validator_pb2.ModelRefinement(
        refinement_id=str(uuid4()) if refinement_id is None else refinement_id,
        method=METHODS[method],
        errors_before=_errors(errors_before, parameter="pre_refinement_errors"),
        errors_after=_errors(errors_after, parameter="post_refinement_errors"),
        accepted=accepted,
        record_count=whole_number(record_count, parameter="record_count", at_least=0),
        held_out_count=whole_number(held_out_count, parameter="held_out_count", at_least=0),
        predictor_version_before=predictor_version_before,
        predictor_version_after=predictor_version_after,
        reason=reason,
    )
    if platform is not None:
        refinement.platform = platform_of(platform, parameter="hardware_platform")
    return validator_pb2.RecordModelRefinementRequest(refinement=refinement)


def recorded_refinement(refinement_id: str, answer: validator_pb2.RecordModelRefinementResponse) -> RecordedRefinement:
    """What the validator said of a refinement that was put on record."""
    return {
        "refinement_id": refinement_id,
        "newly_recorded": answer.newly_recorded,
        "refinement_count": answer.refinement_count,
        "improvement": known_errors(answer.improvement),
    }


def _performance(figures: object, *, parameter: str, prefix: str) -> validator_pb2.RecordedPerformance:
    if not isinstance(figures, Mapping):
        raise InvalidArgument.of(parameter, f"expected a mapping with {', '.join(FIGURES)}; received {figures!r}")
    performance = validator_pb2.RecordedPerformance()
    for figure, field in _FIELDS.items():
        name = figure if figure in figures else f"{prefix}{figure}"
        if name not in figures:
            raise InvalidArgument.of(f"{parameter}.{figure}", f"is missing; {prefix}{figure} does too")
        setattr(performance, field, _number(figures[name], parameter=f"{parameter}.{name}"))
    return performance


def _errors(errors: object, *, parameter: str) -> validator_pb2.ErrorRates:
    if not isinstance(errors, Mapping):
        raise InvalidArgument.of(parameter, f"expected a mapping with {', '.join(FIGURES)}; received {errors!r}")
    unknown = [figure for figure in errors if figure not in FIGURES]
    if unknown:
        raise InvalidArgument.of(f"{parameter}.{unknown[0]}", f"unknown figure; allowed: {', '.join(FIGURES)}")
    rates = validator_pb2.ErrorRates()
    for figure, error in errors.items():
        setattr(rates, figure, _number(error, parameter=f"{parameter}.{figure}"))
    return rates


def _number(value: object, *, parameter: str) -> float:
    # Real: numbers of numpy too.
    if isinstance(value, Real) and not isinstance(value, bool) and isfinite(value) and float(value) >= 0:
        return float(value)
    raise InvalidArgument.of(parameter, f"expected a finite number that is not negative; received {value!r}")
