"""The errors over time and the predictions against their measurements, as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corun.report.data import FIGURES, ReportData

_MARKS = {"parallel": ("o", "#1f6fb4"), "sequential": ("s", "#c2570c"), "batched": ("^", "#2a8552")}
_UNITS = {"latency": "ms", "throughput": "items/s", "memory": "MB"}


def draw(data: ReportData, path: Path) -> None:
    """Writes a panel of errors and one of predictions for each figure; the format is that of the file's name.

    Raises:
        OSError: when the file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (without pyplot: no window, no global state)

    picture = Figure(figsize=(14, 8), layout="constrained")
    axes = picture.subplots(2, len(FIGURES))
    for column, figure in enumerate(FIGURES):
        _errors(axes[0][column], data, figure)
        _scatter(axes[1][column], data, figure)
    picture.suptitle(f"corun: {data.validation_count:,} validations of {data.execution_count:,} executions")
    picture.savefig(path, dpi=130)


def _errors(axes: Any, data: ReportData, figure: str) -> None:
    known = [row for row in data.points if row[f"{figure}_error"] is not None]
    for strategy, (mark, colour) in _MARKS.items():
        own = [row for row in known if row["strategy"] == strategy]
        if own:
            numbers = [row["validation_number"] for row in own]
            errors = [100 * row[f"{figure}_error"] for row in own]
            axes.scatter(numbers, errors, marker=mark, s=22, color=colour, alpha=0.75, label=strategy)
    axes.axhline(100 * data.error_threshold, color="#b3261e", linestyle="--", label="largest acceptable")
    axes.set(title=f"error of {figure}: {data.direction(figure)}", xlabel="validation", ylabel="error (%)")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")


def _scatter(axes: Any, data: ReportData, figure: str) -> None:
    known = [row for row in data.points if row[f"predicted_{figure}"] > 0 and row[f"actual_{figure}"] > 0]
    unit = _UNITS[figure]
    axes.set(title=f"{figure} ({unit})", xlabel=f"measured ({unit})", ylabel=f"predicted ({unit})")
    if not known:
        return
    values = [row[f"{side}_{figure}"] for row in known for side in ("predicted", "actual")]
    ends = [min(values) / 1.25, max(values) * 1.25]
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axes.plot(ends, ends, color="black", linewidth=1)
    band = data.error_threshold
    axes.fill_between(
        ends, [max(1 - band, 0.01) * end for end in ends], [(1 + band) * end for end in ends], color="black", alpha=0.12
    )
    for strategy, (mark, colour) in _MARKS.items():
        own = [row for row in known if row["strategy"] == strategy]
        measured = [row[f"actual_{figure}"] for row in own]
        predicted = [row[f"predicted_{figure}"] for row in own]
        axes.scatter(measured, predicted, marker=mark, s=22, color=colour, alpha=0.75)
