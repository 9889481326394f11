"""How errors move over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from corun.charts.canvas import (
    COLOURS,
    FIGURES,
    GREY,
    THRESHOLD,
    Chart,
    PredictedFigure,
    in_percent,
    newest,
    say_empty,
    upper_limit,
)
from corun.plumbing.names import platform_name
from corun.v1 import validator_service_pb2 as pb

_WINDOW = 10  # one wild value among so many neighbours does not move their median
_WORDS = {
    pb.TREND_DIRECTION_INSUFFICIENT_DATA: "too little data",
    pb.TREND_DIRECTION_STABLE: "stable",
    pb.TREND_DIRECTION_IMPROVING: "improving",
    pb.TREND_DIRECTION_WORSENING: "worsening",
}
_DRIFT = "#7a3e9d"
_DRIFT_LINES = {"wasm": "-", "webgpu": (0, (6, 2)), "webnn": (0, (2, 2))}
_REFINED = "#2f8f4e"


def draw_trends(metrics: pb.GetValidationMetricsResponse) -> Chart:
    """A row for each figure: running medians of errors, the slope of the trend, drifts, and accepted refinements."""
    chart = Chart(height_inches=8.0)
    chart.suptitle(f"Trends of errors over {newest(metrics)}", fontsize=12)
    rows = chart.subplots(len(FIGURES), 1, sharex=True, squeeze=False)[:, 0]
    for axes, figure in zip(rows, FIGURES, strict=True):
        _draw_figure(axes, figure, metrics)
    rows[-1].set_xlabel("validation, in the order they were recorded")
    return chart


def _draw_figure(axes: Axes, figure: PredictedFigure, metrics: pb.GetValidationMetricsResponse) -> None:
    points = [
        (point.validation_number, getattr(point.errors, figure))
        for point in metrics.history
        if point.errors.HasField(figure)
    ]
    if not points:
        say_empty(axes, f"no errors of {figure} on record")
        return
    numbers, errors = (np.asarray(each, dtype=float) for each in zip(*points, strict=True))
    axes.plot(numbers, errors, ".", color=COLOURS[figure], alpha=0.35, label=f"errors (n = {len(errors)})")
    if len(errors) >= _WINDOW:
        medians = np.median(np.lib.stride_tricks.sliding_window_view(errors, _WINDOW), axis=1)
        axes.plot(numbers[_WINDOW - 1 :], medians, color=COLOURS[figure], label=f"median of {_WINDOW}")
    trend = metrics.overall.trends.get(figure)
    told = "trend analysis is off"
    if trend is not None:
        told = f"{_WORDS.get(trend.direction, 'unknown')}, strength {trend.strength:.2f}"
        _draw_slope(axes, numbers, errors, trend)
    _draw_moments(axes, figure, metrics)
    axes.axhline(
        metrics.error_threshold, color=THRESHOLD, linestyle=":", label=f"threshold: {metrics.error_threshold:.0%}"
    )
    axes.set_ylim(0, upper_limit(errors.tolist(), threshold=metrics.error_threshold))
    axes.set_title(f"{figure}: {told}", loc="left", fontsize=10)
    in_percent(axes, label=f"{figure} error")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)


def _draw_slope(axes: Axes, numbers: np.ndarray, errors: np.ndarray, trend: pb.ErrorTrend) -> None:
    if not trend.HasField("slope_per_validation"):
        return
    newest, places = errors[-trend.validation_count :], np.arange(min(trend.validation_count, len(errors)))
    start = float(np.median(newest - trend.slope_per_validation * places))
    line = start + trend.slope_per_validation * places
    label = f"slope: {100 * trend.slope_per_validation:+.2g} points\nper validation (p = {trend.p_value:.2g})"
    axes.plot(numbers[-len(newest) :], line, color=GREY, linewidth=1.6, linestyle="--", label=label)


def _draw_moments(axes: Axes, figure: PredictedFigure, metrics: pb.GetValidationMetricsResponse) -> None:
    for platform, summary in sorted(metrics.by_platform.items()):
        trend = summary.trends.get(figure)
        if trend is None or not trend.HasField("drift"):
            continue
        numbers = [
            point.validation_number
            for point in metrics.history
            if platform_name(point.platform) == platform and point.errors.HasField(figure)
        ]
        drift = trend.drift
        if 0 < drift.validations_since <= len(numbers):
            label = f"drift on {platform}: bias\n{drift.bias_before:+.0%} to {drift.bias_after:+.0%}"
            place = numbers[-drift.validations_since] - 0.5
            axes.axvline(place, color=_DRIFT, linewidth=1.4, linestyle=_DRIFT_LINES[platform], label=label)
    recorded = np.array([point.validation_number for point in metrics.history])
    ended = np.array([point.end_time.ToNanoseconds() for point in metrics.history])
    label = "accepted refinement"
    for refinement in metrics.refinements:
        after = recorded[ended > refinement.refine_time.ToNanoseconds()]
        if refinement.accepted and len(after):
            axes.axvline(after.min() - 0.5, color=_REFINED, linewidth=1.4, linestyle="-.", label=label)
            label = "_nolegend_"
