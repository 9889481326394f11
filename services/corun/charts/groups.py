"""Errors by platform and by strategy."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from corun.charts.canvas import (
    COLOURS,
    FIGURES,
    GREY,
    THRESHOLD,
    Chart,
    PredictedFigure,
    counted,
    in_percent,
    say_empty,
)
from corun.v1 import validator_service_pb2 as pb

_BAR = 0.26
_OVER_LINES = {"facecolor": "white", "linewidth": 0, "pad": 0.8, "alpha": 0.8}


def draw_hardware(metrics: pb.GetValidationMetricsResponse) -> Chart:
    """Mean errors and bias of each platform."""
    chart = Chart(width_inches=10.0, height_inches=4.6)
    chart.suptitle(f"Errors by platform, {counted(metrics.validation_count)}", fontsize=12)
    left, right = chart.subplots(1, 2)
    _draw_errors(left, metrics.by_platform, threshold=metrics.error_threshold)
    _draw_bias(right, metrics.by_platform)
    return chart


def draw_strategy(metrics: pb.GetValidationMetricsResponse) -> Chart:
    """Mean errors of each strategy, and how often each was the best of a comparison."""
    chart = Chart(width_inches=10.0, height_inches=4.6)
    chart.suptitle(f"Errors by strategy, {counted(metrics.validation_count)}", fontsize=12)
    left, right = chart.subplots(1, 2, width_ratios=(3, 2))
    _draw_errors(left, metrics.by_strategy, threshold=metrics.error_threshold)
    _draw_best(right, metrics.optimization_impact)
    return chart


def _draw_errors(axes: Axes, groups: Mapping[str, pb.ErrorSummary], *, threshold: float) -> None:
    if not groups:
        say_empty(axes, "no validations on record")
        return
    axes.set_title("bars: all validations; lines: recent ones", loc="left", fontsize=10)
    for place, name in enumerate(sorted(groups)):
        for offset, figure in enumerate(FIGURES):
            middle = place + (offset - 1) * _BAR
            label = figure if place == 0 else "_nolegend_"
            _draw_bar(axes, middle, figure, groups[name].average, label=label)
            if groups[name].recent.HasField(figure):
                level = getattr(groups[name].recent, figure)
                name_once = "recent" if place == offset == 0 else "_nolegend_"
                ends = (middle - _BAR / 2, middle + _BAR / 2)
                axes.hlines(level, *ends, color="black", linewidth=1.6, label=name_once)
    axes.axhline(threshold, color=THRESHOLD, linestyle=":", label=f"threshold: {threshold:.0%}")
    _finish(axes, groups, label="mean error")


def _draw_bias(axes: Axes, groups: Mapping[str, pb.ErrorSummary]) -> None:
    if not groups:
        say_empty(axes, "no validations on record")
        return
    axes.set_title("bias: above 0 where too much was predicted", loc="left", fontsize=10)
    for place, name in enumerate(sorted(groups)):
        for offset, figure in enumerate(FIGURES):
            label = figure if place == 0 else "_nolegend_"
            _draw_bar(axes, place + (offset - 1) * _BAR, figure, groups[name].bias, label=label)
    axes.axhline(0, color=GREY, linewidth=0.8)
    _finish(axes, groups, label="mean of (predicted - measured) / measured")


def _draw_bar(
    axes: Axes, middle: float, figure: PredictedFigure, errors: pb.ErrorRates | pb.SignedErrors, *, label: str
) -> None:
    known = errors.HasField(figure)
    bars = axes.bar(middle, getattr(errors, figure) if known else 0.0, _BAR, color=COLOURS[figure], label=label)
    told = f"{getattr(errors, figure):.0%}" if known else "-"
    axes.bar_label(bars, [told], fontsize=8, padding=3, color=GREY, bbox=_OVER_LINES, zorder=4)


def _draw_best(axes: Axes, impact: pb.OptimizationImpact) -> None:
    if not impact.comparison_count:
        say_empty(axes, "no comparisons of strategies on record")
        return
    told = f"best of {counted(impact.comparison_count, 'comparison')}"
    if impact.HasField("recommendation_accuracy"):
        told += f"\nrecommended one best or tied: {impact.recommendation_accuracy:.0%}"
    axes.set_title(told, loc="left", fontsize=10)
    names = ("batched", "parallel", "sequential")
    bars = axes.bar(names, [impact.best_strategy_counts.get(name, 0) for name in names], 0.6, color=GREY)
    axes.bar_label(bars, fontsize=9, padding=2)
    axes.set_ylabel("times best")
    axes.margins(y=0.1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _finish(axes: Axes, groups: Mapping[str, pb.ErrorSummary], *, label: str) -> None:
    names = sorted(groups)
    axes.set_xticks(range(len(names)), [f"{name}\nn = {groups[name].validation_count:,}" for name in names])
    axes.margins(y=0.15)
    in_percent(axes, label=label)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=5, frameon=False, fontsize=8)
