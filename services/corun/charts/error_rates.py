"""The error of every validation."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from corun.charts.canvas import (
    COLOURS,
    FIGURES,
    GREY,
    PLATFORM_MARKERS,
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


def draw_error_rates(metrics: pb.GetValidationMetricsResponse) -> Chart:
    """A row for each figure: errors of the validations in `history`, their means, and the threshold."""
    chart = Chart(height_inches=8.0)
    chart.suptitle(f"Errors of predictions: abs(predicted - measured) / measured\n{newest(metrics)}", fontsize=12)
    rows = chart.subplots(len(FIGURES), 1, sharex=True, squeeze=False)[:, 0]
    for axes, figure in zip(rows, FIGURES, strict=True):
        draw_errors(axes, figure, metrics)
    rows[-1].set_xlabel("validation, in the order they were recorded")
    return chart


def draw_errors(axes: Axes, figure: PredictedFigure, metrics: pb.GetValidationMetricsResponse) -> None:
    """Errors of one figure by platform, with their means and the threshold."""
    points = [
        (point.validation_number, getattr(point.errors, figure), platform_name(point.platform))
        for point in metrics.history
        if point.errors.HasField(figure)
    ]
    if not points:
        say_empty(axes, f"no errors of {figure} on record")
        return
    limit = upper_limit([error for _, error, _ in points], threshold=metrics.error_threshold)
    for platform, marker in PLATFORM_MARKERS.items():
        of = [(number, error) for number, error, where in points if where == platform]
        if of:
            numbers, errors = zip(*of, strict=True)
            heights = [min(error, limit) for error in errors]
            axes.scatter(
                numbers, heights, s=22, marker=marker, color=COLOURS[figure], alpha=0.65, linewidths=0,
                label=f"{platform} (n = {len(of)})",
            )  # fmt: skip
    beyond = sum(error > limit for _, error, _ in points)
    _draw_levels(axes, figure, metrics)
    axes.set_ylim(0, limit * 1.03)
    in_percent(axes, label=f"{figure} error")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    if beyond:
        axes.set_title(f"{beyond} beyond the axis, drawn at its edge", loc="right", fontsize=8, color=GREY)


def _draw_levels(axes: Axes, figure: PredictedFigure, metrics: pb.GetValidationMetricsResponse) -> None:
    overall = metrics.overall
    levels = (("mean of all", overall.average, "-"), ("mean of recent", overall.recent, "--"))
    for name, rates, style in levels:
        if rates.HasField(figure):
            level = getattr(rates, figure)
            axes.axhline(level, color=GREY, linestyle=style, linewidth=1.2, label=f"{name}: {level:.1%}")
    axes.axhline(
        metrics.error_threshold, color=THRESHOLD, linestyle=":", linewidth=1.4,
        label=f"threshold: {metrics.error_threshold:.0%}",
    )  # fmt: skip
