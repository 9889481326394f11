"""The validator's metrics to a report."""

from __future__ import annotations

from collections.abc import Mapping

from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client.conversion.figures import known_errors, method_name, moment_of
from corun_client.conversion.names import platform_name, strategy_name
from corun_client.conversion.reports import MetricsReport
from corun_client.conversion.validation_reports import HistoryPoint, RefinementReport, TrendReport


def metrics_report(metrics: validator_pb2.GetValidationMetricsResponse, *, with_history: bool = False) -> MetricsReport:
    """Counts, errors as flat fractions, trends, and what choosing strategies was worth; only what is known."""
    platforms, strategies = sorted(metrics.by_platform.items()), sorted(metrics.by_strategy.items())
    report: MetricsReport = {
        "validation_count": metrics.validation_count,
        "execution_count": metrics.execution_count,
        "platform_metrics": {name: _group(each) for name, each in platforms},
        "strategy_metrics": {name: _group(each) for name, each in strategies},
        "strategy_distribution": dict(sorted(metrics.optimization_impact.best_strategy_counts.items())),
        "error_threshold": metrics.error_threshold,
        "database_path": metrics.database_path,
    }
    rates = _rates(metrics.overall)
    if rates:
        report["error_rates"] = rates
        report["error_bias"] = _biases(metrics.overall)
    if metrics.overall.trends:
        report["error_trends"] = _trends(metrics.overall.trends)
        report["platform_trends"] = {name: _trends(each.trends) for name, each in platforms}
        report["strategy_trends"] = {name: _trends(each.trends) for name, each in strategies}
    impact = metrics.optimization_impact
    if impact.comparison_count:
        report["optimization_impact"] = {"comparison_count": impact.comparison_count}
        if impact.HasField("average_improvement_percent"):
            report["optimization_impact"]["avg_improvement_percent"] = impact.average_improvement_percent
        if impact.HasField("recommendation_accuracy"):
            report["optimization_impact"]["recommendation_accuracy"] = impact.recommendation_accuracy
    if with_history:
        report["history"] = [_point(each) for each in metrics.history]
        report["refinements"] = [_refinement(each) for each in metrics.refinements]
    return report


def _rates(summary: validator_pb2.ErrorSummary) -> dict[str, float]:
    windows = {"avg": summary.average, "recent": summary.recent, "earlier": summary.earlier}
    return {
        f"{window}_{figure}_error": rate
        for window, errors in windows.items()
        for figure, rate in known_errors(errors).items()
    }


def _biases(summary: validator_pb2.ErrorSummary) -> dict[str, float]:
    windows = {"avg": summary.bias, "recent": summary.recent_bias}
    return {
        f"{window}_{figure}_bias": rate
        for window, errors in windows.items()
        for figure, rate in known_errors(errors).items()
    }


def _group(summary: validator_pb2.ErrorSummary) -> dict[str, float]:
    return {"validation_count": summary.validation_count, **_rates(summary), **_biases(summary)}


def _trends(trends: Mapping[str, validator_pb2.ErrorTrend]) -> dict[str, TrendReport]:
    return {figure: _trend(trends[figure]) for figure in sorted(trends)}


def _trend(trend: validator_pb2.ErrorTrend) -> TrendReport:
    report: TrendReport = {
        "direction": validator_pb2.TrendDirection.Name(trend.direction).removeprefix("TREND_DIRECTION_").lower(),
        "strength": trend.strength,
        "validation_count": trend.validation_count,
        "explanation": trend.explanation,
    }
    if trend.HasField("slope_per_validation"):
        report["slope_per_validation"] = trend.slope_per_validation
    if trend.HasField("p_value"):
        report["p_value"] = trend.p_value
    if trend.HasField("drift"):
        report["drift"] = {
            "validations_since": trend.drift.validations_since,
            "delay": trend.drift.delay,
            "bias_before": trend.drift.bias_before,
            "bias_after": trend.drift.bias_after,
        }
    return report


def _point(point: validator_pb2.ValidationPoint) -> HistoryPoint:
    return {
        "validation_number": point.validation_number,
        "execution_id": point.execution_id,
        "end_time": moment_of(point.end_time),
        "hardware_platform": platform_name(point.platform),
        "execution_strategy": strategy_name(point.strategy),
        "predicted_latency": point.predicted.latency_ms,
        "predicted_throughput": point.predicted.throughput_items_per_second,
        "predicted_memory": point.predicted.memory_mb,
        "actual_latency": point.measured.latency_ms,
        "actual_throughput": point.measured.throughput_items_per_second,
        "actual_memory": point.measured.memory_mb,
        "error_rates": known_errors(point.errors),
        "bias": known_errors(point.bias),
        "predictor_version": point.predictor_version,
    }


def _refinement(refinement: validator_pb2.ModelRefinement) -> RefinementReport:
    return {
        "refinement_id": refinement.refinement_id,
        "hardware_platform": platform_name(refinement.platform),
        "method": method_name(refinement.method) or "",
        "errors_before": known_errors(refinement.errors_before),
        "errors_after": known_errors(refinement.errors_after),
        "accepted": refinement.accepted,
        "record_count": refinement.record_count,
        "held_out_count": refinement.held_out_count,
        "predictor_version_before": refinement.predictor_version_before,
        "predictor_version_after": refinement.predictor_version_after,
        "reason": refinement.reason,
        "refine_time": moment_of(refinement.refine_time),
    }
