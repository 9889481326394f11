"""Errors over time beside predictions against their measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from corun.charts.canvas import (
    COLOURS,
    FIGURES,
    GREY,
    PLATFORM_MARKERS,
    THRESHOLD,
    Chart,
    PredictedFigure,
    newest,
    say_empty,
)
from corun.charts.error_rates import draw_errors
from corun.plumbing.names import platform_name
from corun.v1 import validator_service_pb2 as pb

_FIELDS = {"latency": "latency_ms", "throughput": "throughput_items_per_second", "memory": "memory_mb"}
_UNITS = {"latency": "ms", "throughput": "items/s", "memory": "MB"}


def draw_overview(metrics: pb.GetValidationMetricsResponse) -> Chart:
    """A row for each figure: errors of the validations in `history`, and predicted against measured."""
    chart = Chart(width_inches=15.0, height_inches=11.0)
    chart.suptitle(f"Predictions and measurements of {newest(metrics)}", fontsize=13)
    rows = chart.subplots(len(FIGURES), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), figure in zip(rows, FIGURES, strict=True):
        draw_errors(left, figure, metrics)
        _draw_against(right, figure, metrics)
    rows[-1][0].set_xlabel("validation, in the order they were recorded")
    return chart


def _draw_against(axes: Axes, figure: PredictedFigure, metrics: pb.GetValidationMetricsResponse) -> None:
    field, unit = _FIELDS[figure], _UNITS[figure]
    points = [
        (getattr(point.measured, field), getattr(point.predicted, field), platform_name(point.platform))
        for point in metrics.history
    ]
    # A logarithmic axis has no place for memory of 0.
    points = [each for each in points if each[0] > 0 and each[1] > 0]
    if not points:
        say_empty(axes, f"no {figure} on record")
        return
    values = [value for measured, predicted, _ in points for value in (measured, predicted)]
    ends = np.array([min(values) / 1.25, max(values) * 1.25])
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    threshold = metrics.error_threshold
    lowest = max(1 - threshold, 1e-9)
    axes.fill_between(
        ends, lowest * ends, (1 + threshold) * ends, color=THRESHOLD, alpha=0.1, linewidth=0,
        label=f"error within {threshold:.0%}",
    )  # fmt: skip
    axes.plot(ends, ends, color=GREY, linewidth=1)
    for platform, marker in PLATFORM_MARKERS.items():
        of = [(measured, predicted) for measured, predicted, where in points if where == platform]
        if of:
            measured, predicted = zip(*of, strict=True)
            axes.scatter(
                measured, predicted, s=22, marker=marker, color=COLOURS[figure], alpha=0.65, linewidths=0,
                label=f"{platform} (n = {len(of)})",
            )  # fmt: skip
    axes.set_xlabel(f"measured {figure} ({unit})")
    axes.set_ylabel(f"predicted {figure} ({unit})")
    for axis in (axes.xaxis, axes.yaxis):
        _tick(axis, wide=ends[1] / ends[0] > 100)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False, fontsize=8)


def _tick(axis: Any, *, wide: bool) -> None:
    """Plain numbers, few enough to be read."""
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
