"""The validator's metrics to a report."""

from __future__ import annotations

from typing import Literal

from corun.v1 import validator_service_pb2
from corun_client.conversion.reports import MetricsReport

_FIGURES: tuple[Literal["latency", "throughput", "memory"], ...] = ("latency", "throughput", "memory")


def metrics_report(metrics: validator_service_pb2.GetValidationMetricsResponse) -> MetricsReport:
    """Counts, error rates as flat fractions, and what choosing strategies was worth; only what is known."""
    report: MetricsReport = {
        "validation_count": metrics.validation_count,
        "execution_count": metrics.execution_count,
        "platform_metrics": {name: _group(each) for name, each in sorted(metrics.by_platform.items())},
        "strategy_metrics": {name: _group(each) for name, each in sorted(metrics.by_strategy.items())},
        "strategy_distribution": dict(sorted(metrics.optimization_impact.best_strategy_counts.items())),
        "error_threshold": metrics.error_threshold,
        "database_path": metrics.database_path,
    }
    rates = _rates(metrics.overall)
    if rates:
        report["error_rates"] = rates
    impact = metrics.optimization_impact
    if impact.comparison_count:
        report["optimization_impact"] = {"comparison_count": impact.comparison_count}
        if impact.HasField("average_improvement_percent"):
            report["optimization_impact"]["avg_improvement_percent"] = impact.average_improvement_percent
        if impact.HasField("recommendation_accuracy"):
            report["optimization_impact"]["recommendation_accuracy"] = impact.recommendation_accuracy
    return report


def known_rates(errors: validator_service_pb2.ErrorRates) -> dict[str, float]:
    """Errors by figure (latency, throughput, memory), without those that have none."""
    return {figure: getattr(errors, figure) for figure in _FIGURES if errors.HasField(figure)}


def _rates(summary: validator_service_pb2.ErrorSummary) -> dict[str, float]:
    average, recent = known_rates(summary.average), known_rates(summary.recent)
    return {f"avg_{figure}_error": rate for figure, rate in average.items()} | {
        f"recent_{figure}_error": rate for figure, rate in recent.items()
    }


def _group(summary: validator_service_pb2.ErrorSummary) -> dict[str, float]:
    return {"validation_count": summary.validation_count, **_rates(summary)}
