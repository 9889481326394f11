"""Charts as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from corun.report.data import Row

_WIDTH, _HEIGHT = 360, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 18, 22, 34
_WINDOW = 10

Scale = Callable[[float], float]


def error_chart(points: Sequence[Row], figure: str, threshold: float, refined_after: Sequence[int] = ()) -> Markup:
    """Errors in order of recording, their median over the last ten, the largest acceptable one, and refinements.

    Args:
        points: Validations, oldest first.
        figure: Whose errors.
        threshold: Largest acceptable error.
        refined_after: Numbers of the validations after which the predictor was refined.
    """
    known = [row for row in points if row[f"{figure}_error"] is not None]
    if not known:
        return _nothing()
    numbers = [row["validation_number"] for row in known]
    errors = [row[f"{figure}_error"] for row in known]
    # A few wild ones must not flatten the rest: what is above is drawn at the edge.
    top = max(threshold * 1.5, 1.2 * sorted(errors)[int(0.98 * (len(errors) - 1))], 1e-6)
    first, last = numbers[0], max(numbers[-1], numbers[0] + 1)
    across = _linear(first, last, _LEFT, _WIDTH - _RIGHT)
    up = _linear(0, top, _HEIGHT - _BOTTOM, _TOP)
    rows = [(up(value), _percent(value)) for value in _ticks(0, top)]
    columns = [(across(value), f"{value:,}") for value in (first, last)]
    beyond = sum(error > top for error in errors)
    caption = f"n = {len(errors):,}" + (f", {beyond} beyond drawn at the edge" if beyond else "")
    parts = [_axes(rows, columns, "validation, oldest to newest", caption)]
    parts += [
        _line([(across(place + 0.5), _TOP), (across(place + 0.5), _HEIGHT - _BOTTOM)], "refined")
        for place in refined_after
        if first <= place < last
    ]
    parts.append(_line([(_LEFT, up(threshold)), (_WIDTH - _RIGHT, up(threshold))], "threshold"))
    for row, error in zip(known, errors, strict=True):
        title = (
            f"{figure} error {error:.1%}, validation {row['validation_number']}, {row['platform']} {row['strategy']}"
        )
        parts.append(_mark(across(row["validation_number"]), up(min(error, top)), row["strategy"], title))
    medians = [statistics.median(errors[end - _WINDOW : end]) for end in range(_WINDOW, len(errors) + 1)]
    middles = zip(numbers[_WINDOW - 1 :], medians, strict=False)
    parts.append(_line([(across(number), up(min(median, top))) for number, median in middles], "median"))
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
            f"n = {len(known):,}",
            beside=f"predicted ({unit})",
        )
    ]
    band = _band(low, high, threshold)
    shape = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in band)
    parts.append(Markup('<polygon class="band" points="{}"/>').format(shape))
    parts.append(_line([(across(low), up(low)), (across(high), up(high))], "diagonal"))
    for row in known:
        predicted, measured = row[f"predicted_{figure}"], row[f"actual_{figure}"]
        title = f"{row['strategy']} on {row['platform']}: {_short(predicted)} predicted, {_short(measured)} measured"
        parts.append(_mark(across(measured), up(predicted), row["strategy"], title))
    return _svg(parts, f"predicted against measured {figure}")


def _band(low: float, high: float, threshold: float) -> list[tuple[float, float]]:
    """Corners of what is off by the threshold at most, inside the square from `low` to `high`."""
    over, under = 1 + threshold, 1 - threshold
    right = (high, max(high * under, low))
    bottom = (min(low / under, high) if under > 0 else high, low)
    return [(low, low), (low, min(low * over, high)), (max(high / over, low), high), (high, high), right, bottom]


def _axes(
    rows: list[tuple[float, str]], columns: list[tuple[float, str]], below: str, caption: str, *, beside: str = ""
) -> Markup:
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
    parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_WIDTH - _RIGHT, _TOP - 9, caption))
    parts.append(Markup('<text class="label" x="{}" y="{}">{}</text>').format(4, _TOP - 9, beside))
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
    return shown if len(shown) <= 7 else decades[:: math.ceil(len(decades) / 6)]


def _percent(value: float) -> str:
    return f"{value:.0%}" if value < 100 else f"{100 * value:.1e}%"


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:,.3g}M"
    if value >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
