"""What all pictures share: size, colours, axes in percent."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from corun.v1 import validator_service_pb2 as pb

PredictedFigure: TypeAlias = Literal["latency", "throughput", "memory"]

FIGURES: tuple[PredictedFigure, ...] = ("latency", "throughput", "memory")
COLOURS = {"latency": "#1f6fb4", "throughput": "#d1701c", "memory": "#3d8b57"}
PLATFORM_MARKERS = {"wasm": "o", "webgpu": "s", "webnn": "^"}
GREY = "#5b5f66"
THRESHOLD = "#b3261e"

# Wild values would leave no room for the others: they are drawn at the edge.
_SHOWN_QUANTILE = 0.98


class Chart(Figure):
    """A matplotlib figure that a notebook shows by itself, without pyplot."""

    def __init__(self, *, width_inches: float = 9.0, height_inches: float = 6.0) -> None:
        super().__init__(figsize=(width_inches, height_inches), layout="constrained")

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=110)
        return content.getvalue()


def in_percent(axes: Axes, *, label: str) -> None:
    """The vertical axis in percent, with light lines across."""
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.set_ylabel(label)
    axes.grid(axis="y", color="#e3e5e8", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def upper_limit(errors: Sequence[float], *, threshold: float) -> float:
    """Where an axis of errors ends, so that all but the wildest are inside."""
    shown = float(np.quantile(errors, _SHOWN_QUANTILE)) if errors else 0.0
    return max(1.25 * shown, 1.5 * threshold)


def say_empty(axes: Axes, words: str) -> None:
    """Words instead of a picture."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, transform=axes.transAxes)


def newest(metrics: pb.GetValidationMetricsResponse) -> str:
    """ "all 20 validations", "the newest 100 of 2,000 validations"."""
    shown, count = len(metrics.history), metrics.validation_count
    return f"all {counted(count)}" if shown == count else f"the newest {shown:,} of {counted(count)}"


def counted(count: int, noun: str = "validation") -> str:
    """ "1 validation", "20 validations"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
