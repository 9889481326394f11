"""Predicted against measured, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PANELS = {"latency": "latency (ms)", "throughput": "throughput (items/s)", "memory": "memory (MB)"}
_MARKS = {"seen": ("o", "#1f6fb4", "models seen in training"), "unseen": ("^", "#d95f02", "with a model left out")}


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Writes a panel for each figure: logarithmic scales, the diagonal, a band of 10 %, and the two parts marked.

    Raises:
        OSError: when the file cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    picture = Figure(figsize=(13.5, 5), layout="constrained")
    for axes, (figure, label) in zip(picture.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        _panel(axes, report["points"], figure, label)
    counts = report["counts"]
    picture.suptitle(
        f"corun: predicted against measured, {report['platform']} in {report['engine']}, seed {report['seed']}; "
        f"n = {counts['points']} points, each the median of {counts['repeats']}"
    )
    picture.savefig(path, dpi=150)


def _panel(axes: Any, points: list[Mapping[str, Any]], figure: str, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    drawn = [point for point in points if point["measured"][figure] > 0 and point["predicted"][figure] > 0]
    if not drawn:
        axes.set_title(f"{label}: nothing to draw")
        return
    values = [point[side][figure] for point in drawn for side in ("measured", "predicted")]
    ends = [min(values) / 1.3, max(values) * 1.3]
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.plot(ends, ends, color="black", linewidth=1)
    axes.fill_between(
        ends, [0.9 * end for end in ends], [1.1 * end for end in ends], color="black", alpha=0.12, label="±10 %"
    )
    for part, (mark, colour, words) in _MARKS.items():
        own = [point for point in drawn if point["part"] == part]
        measured = [point["measured"][figure] for point in own]
        predicted = [point["predicted"][figure] for point in own]
        axes.scatter(measured, predicted, marker=mark, s=36, color=colour, alpha=0.8, label=f"{words} (n = {len(own)})")
    axes.set(title=label, xlabel=f"measured {label}", ylabel=f"predicted {label}")
    axes.legend(loc="upper left", fontsize="small")
