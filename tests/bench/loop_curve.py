"""The story of a closed loop as a picture: errors of executions in order, what smooths them, and refinements."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corun.charts.canvas import COLOURS, GREY, Chart, in_percent, upper_limit

_SMOOTHED = 7


@dataclass(frozen=True, slots=True)
class Curve:
    """One loop.

    Attributes:
        title: What was done.
        errors: Of latency, one an execution, in order.
        noise: What repeated runs of a workload are off their median.
        loaded: First execution beside a competing load, and the first after it; None without one.
        refined: Executions after which a refined version served.
    """

    title: str
    errors: Sequence[float]
    noise: float
    loaded: tuple[int, int] | None
    refined: Sequence[int]


def draw(curves: Sequence[Curve], *, path: Path) -> None:
    """Writes the picture, an axis a loop."""
    figure = Chart(height_inches=3.2 * len(curves))
    axes_of = figure.subplots(len(curves), 1, squeeze=False)
    for (axes,), curve in zip(axes_of, curves, strict=True):
        numbers = range(1, len(curve.errors) + 1)
        axes.plot(numbers, curve.errors, "o", markersize=3, color=COLOURS["latency"], alpha=0.45, label="an execution")
        axes.plot(numbers, smoothed(curve.errors), color=COLOURS["latency"], label=f"median of {_SMOOTHED}")
        axes.axhline(curve.noise, color=GREY, linestyle=":", label=f"noise of the machine, {curve.noise:.1%}")
        if curve.loaded is not None:
            axes.axvspan(*curve.loaded, color="#f3e3d3", zorder=0, label="competing load")
        for index, number in enumerate(curve.refined):
            axes.axvline(
                number + 0.5, color=COLOURS["memory"], linewidth=1, label="refined version" if index == 0 else None
            )
        in_percent(axes, label="error of latency")
        axes.set_ylim(0, upper_limit(list(curve.errors), threshold=curve.noise))
        axes.set_title(curve.title, loc="left")
        axes.set_xlabel("execution")
        axes.legend(loc="upper right", frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)


def smoothed(errors: Sequence[float]) -> list[float]:
    """The median of each error and those before it, up to seven."""
    return [statistics.median(errors[max(0, end - _SMOOTHED) : end]) for end in range(1, len(errors) + 1)]
