"""Pictures of validation metrics, drawn here from what the validator says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NotRequired, TypedDict

from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client import validator_calls
from corun_client.client import Client
from corun_client.errors import InvalidArgument

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC_TYPES = ("error_rates", "trends", "hardware", "strategy")


class Visualization(TypedDict):
    """What visualize_validation_metrics gives back; `figure` is there where `success` is True, else `reason`."""

    success: bool
    metric_type: str
    validation_count: int
    figure: NotRequired[Figure]
    reason: NotRequired[str]


def visualized(
    metric_type: str,
    client: Callable[[], Client],
    *,
    enabled: bool,
    platform: str | None,
    history_size: int,
    trends: bool,
) -> Visualization:
    """The picture of one of METRIC_TYPES. The client is only asked for where it is needed.

    Raises:
        InvalidArgument: for any other metric type.
        ImportError: without matplotlib.
    """
    if metric_type not in METRIC_TYPES:
        raise InvalidArgument.of("metric_type", f"{metric_type!r} is not known; allowed: {', '.join(METRIC_TYPES)}")
    if not enabled:
        return _without(metric_type, "visualization is disabled: make the validator with enable_visualization=True")
    query = validator_calls.metrics_query(platform=platform, history_size=history_size, trends=trends, history=True)
    metrics = client().read_metrics(query, lambda answer: answer)
    if not metrics.validation_count and not metrics.optimization_impact.comparison_count:
        return _without(metric_type, "there are no validations on record")
    return {
        "success": True,
        "metric_type": metric_type,
        "validation_count": metrics.validation_count,
        "figure": _drawn(metric_type, metrics),
    }


def _drawn(metric_type: str, metrics: validator_pb2.GetValidationMetricsResponse) -> Figure:
    from corun import charts  # noqa: PLC0415  # takes a second, and needs matplotlib

    draw: dict[str, Callable[[validator_pb2.GetValidationMetricsResponse], Figure]] = {
        "error_rates": charts.draw_error_rates,
        "trends": charts.draw_trends,
        "hardware": charts.draw_hardware,
        "strategy": charts.draw_strategy,
    }
    return draw[metric_type](metrics)


def _without(metric_type: str, reason: str) -> Visualization:
    return {"success": False, "metric_type": metric_type, "validation_count": 0, "reason": reason}
