"""Metrics to messages."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from corun.v1 import validator_service_pb2 as pb
from corun.validation.messages import performance_message, rates_message, signed_message
from corun.validator.core.drift import Drift
from corun.validator.core.history import Validation
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact
from corun.validator.core.movement import Movement
from corun.validator.names import platform_value, strategy_value
from corun.validator.refinement_messages import refinement_message


def metrics_message(metrics: Metrics, *, error_threshold: float, database_path: str) -> pb.GetValidationMetricsResponse:
    """The whole answer of GetValidationMetrics."""
    return pb.GetValidationMetricsResponse(
        validation_count=metrics.overall.validation_count,
        execution_count=metrics.execution_count,
        overall=_summary_message(metrics.overall),
        by_platform={name: _summary_message(summary) for name, summary in metrics.by_platform.items()},
        by_strategy={name: _summary_message(summary) for name, summary in metrics.by_strategy.items()},
        optimization_impact=_impact_message(metrics.impact),
        error_threshold=error_threshold,
        database_path=database_path,
        history=[_point_message(each) for each in metrics.history],
        refinements=[refinement_message(each) for each in metrics.refinements],
    )


def _summary_message(summary: ErrorSummary) -> pb.ErrorSummary:
    return pb.ErrorSummary(
        validation_count=summary.validation_count,
        average=rates_message(summary.average),
        recent=rates_message(summary.recent),
        earlier=rates_message(summary.earlier),
        bias=signed_message(summary.bias),
        recent_bias=signed_message(summary.recent_bias),
        trends=_trend_messages(summary.movements),
    )


def _trend_messages(movements: Mapping[str, Movement]) -> dict[str, pb.ErrorTrend]:
    return {
        figure: pb.ErrorTrend(
            direction=pb.TrendDirection.Value(f"TREND_DIRECTION_{movement.trend.direction.upper()}"),
            strength=movement.trend.strength,
            slope_per_validation=movement.trend.slope,
            p_value=movement.trend.p_value,
            validation_count=movement.trend.count,
            explanation=movement.trend.explanation,
            drift=None if movement.drift is None else _drift_message(movement.drift),
        )
        for figure, movement in movements.items()
    }


def _drift_message(drift: Drift) -> pb.ErrorDrift:
    return pb.ErrorDrift(
        validations_since=drift.since, delay=drift.delay, bias_before=drift.before, bias_after=drift.after
    )


def _impact_message(impact: OptimizationImpact) -> pb.OptimizationImpact:
    return pb.OptimizationImpact(
        comparison_count=impact.comparison_count,
        average_improvement_percent=impact.average_improvement_percent,
        recommendation_accuracy=impact.recommendation_accuracy,
        best_strategy_counts=impact.best_strategy_counts,
    )


def _point_message(validation: Validation) -> pb.ValidationPoint:
    end_time = Timestamp()
    end_time.FromDatetime(validation.end_time)
    return pb.ValidationPoint(
        validation_number=validation.number,
        execution_id=validation.execution_id,
        end_time=end_time,
        platform=platform_value(validation.platform),
        strategy=strategy_value(validation.strategy),
        predicted=performance_message(validation.predicted),
        measured=performance_message(validation.measured),
        errors=rates_message(validation.errors),
        bias=signed_message(validation.bias),
        predictor_version=validation.predictor_version,
    )
