"""Charts as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from corun.report.data import Row

_WIDTH, _HEIGHT = 360, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 34
_WINDOW = 10

Scale = Callable[[float], float]


def error_chart(points: Sequence[Row], figure: str, threshold: float) -> Markup:
    """Errors in order of recording, their mean over the last ten, and the largest acceptable one."""
    known = [row for row in points if row[f"{figure}_error"] is not None]
    if not known:
        return _nothing()
    numbers = [row["validation_number"] for row in known]
    errors = [row[f"{figure}_error"] for row in known]
    # A few wild ones must not flatten the rest: what is above is drawn at the edge.
    top = max(threshold * 1.5, 1.2 * sorted(errors)[int(0.98 * (len(errors) - 1))], 1e-6)
    across = _linear(numbers[0], max(numbers[-1], numbers[0] + 1), _LEFT, _WIDTH - _RIGHT)
    up = _linear(0, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [_axes([(up(value), f"{value:.0%}") for value in _ticks(0, top)], [], "validation, oldest to newest", "")]
    parts.append(_line([(_LEFT, up(threshold)), (_WIDTH - _RIGHT, up(threshold))], "threshold"))
    for row, error in zip(known, errors, strict=True):
        title = (
            f"{figure} error {error:.1%}, validation {row['validation_number']}, {row['platform']} {row['strategy']}"
        )
        parts.append(_mark(across(row["validation_number"]), up(min(error, top)), row["strategy"], title))
    means = [sum(errors[max(0, end - _WINDOW) : end]) / min(end, _WINDOW) for end in range(1, len(errors) + 1)]
    parts.append(_line([(across(n), up(min(mean, top))) for n, mean in zip(numbers, means, strict=True)], "mean"))
    return _svg(parts, f"{figure} error over time")


def scatter_chart(points: Sequence[Row], figure: str, unit: str, threshold: float) -> Markup:
    """Predicted against measured on logarithmic scales, with the diagonal and a band of acceptable errors."""
    known = [row for row in points if row[f"predicted_{figure}"] > 0 and row[f"actual_{figure}"] > 0]
    if not known:
        return _nothing()
    values = [row[f"{side}_{figure}"] for row in known for side in ("predicted", "actual")]
    low, high = min(values) / 1.25, max(values) * 1.25
    across = _logarithmic(low, high, _LEFT, _WIDTH - _RIGHT)
    up = _logarithmic(low, high, _HEIGHT - _BOTTOM, _TOP)
    ticks = _log_ticks(low, high)
    parts = [
        _axes(
            [(up(value), _short(value)) for value in ticks],
            [(across(value), _short(value)) for value in ticks],
            f"measured ({unit})",
            "predicted",
        )
    ]
    band = [(low, low * (1 + threshold)), (high, high * (1 + threshold))]
    band += [(high, high * max(1 - threshold, 0.01)), (low, low * max(1 - threshold, 0.01))]
    shape = " ".join(f"{across(x):.1f},{up(min(max(y, low), high)):.1f}" for x, y in band)
    parts.append(Markup('<polygon class="band" points="{}"/>').format(shape))
    parts.append(_line([(across(low), up(low)), (across(high), up(high))], "diagonal"))
    for row in known:
        predicted, measured = row[f"predicted_{figure}"], row[f"actual_{figure}"]
        title = f"{row['strategy']} on {row['platform']}: {_short(predicted)} predicted, {_short(measured)} measured"
        parts.append(_mark(across(measured), up(predicted), row["strategy"], title))
    return _svg(parts, f"predicted against measured {figure}")


def _axes(rows: list[tuple[float, str]], columns: list[tuple[float, str]], below: str, beside: str) -> Markup:
    parts = []
    for y, words in rows:
        line = '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        parts.append(Markup(line).format(_LEFT, _WIDTH - _RIGHT, y, y))
        parts.append(Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(_LEFT - 5, y + 4, words))
    for x, words in columns:
        text = '<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        parts.append(Markup(text).format(x, _HEIGHT - _BOTTOM + 14, words))
    label = '<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>'
    parts.append(Markup(label).format((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, below))
    if beside:
        parts.append(Markup('<text class="label" x="{}" y="{}">{}</text>').format(_LEFT + 6, _TOP + 12, beside))
    return Markup("").join(parts)


def _mark(x: float, y: float, strategy: str, title: str) -> Markup:
    if strategy == "sequential":
        shape = Markup('<rect x="{:.1f}" y="{:.1f}" width="6.4" height="6.4"').format(x - 3.2, y - 3.2)
    elif strategy == "batched":
        shape = Markup('<path d="M{:.1f} {:.1f}l4.2 7.2h-8.4z"').format(x, y - 4.4)
    else:
        shape = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.4"').format(x, y)
    return shape + Markup(' class="point {}"><title>{}</title></{}>').format(
        strategy, title, {"sequential": "rect", "batched": "path"}.get(strategy, "circle")
    )


def _line(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, path)


def _svg(parts: Sequence[Markup], title: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, _HEIGHT, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _nothing() -> Markup:
    return Markup('<p class="nothing">{}</p>').format(escape("nothing on record"))


def _linear(low: float, high: float, first: float, last: float) -> Scale:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _logarithmic(low: float, high: float, first: float, last: float) -> Scale:
    inner = _linear(math.log(low), math.log(high), first, last)
    return lambda value: inner(math.log(value))


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= next((each for each in (1, 2, 5) if (high - low) / (step * each) <= 5), 10)
    return [low + step * number for number in range(int((high - low) / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [each for power in exponents for each in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)]
    shown = [each for each in found if low <= each <= high]
    decades = [each for each in shown if math.log10(each) == round(math.log10(each))]
    return shown if len(shown) <= 7 else decades


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
