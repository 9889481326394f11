"""The pace of a machine while each run was measured, and what the runs would take at its newest pace.

What slows a machine down slows every model on it, and differently in wide and in narrow lanes: a competing program
takes one core. So levels are looked for in the runs of all models of a place and width together. A model that was
last run beside such a program needs no new run to be known without it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from corun.predictor.core.curve import Curve, fit_curve
from corun.predictor.core.drift import level_path
from corun.predictor.core.history import FIXED_TIME_SHARE, SHORTEST_MS, History
from corun.predictor.core.observation import Observation

_ROUNDS = 4
# Levels that move less than this between two rounds of the fit have settled.
_SETTLED = 0.01
# Short runs of one report are one reading of the pace for each half second that they took.
_READING_MS = 500.0
# Newest readings that are looked at.
_MOST_READINGS = 400
_TELLING_OCCASIONS = 3

Samples = Mapping[str, Sequence[Observation]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Some runs of a model in one report: their places in its samples."""

    model_name: str
    moment: int
    indexes: tuple[int, ...]


def fitted(histories: Mapping[str, History]) -> dict[str, History]:
    """The histories of a place, by model, with their times at the newest pace."""
    widths = {width for history in histories.values() for width in history.samples}
    times: dict[str, dict[int, Curve]] = {name: {} for name in histories}
    for width in widths:
        own = {name: history.samples[width] for name, history in histories.items() if width in history.samples}
        for name, curve in _curves(own).items():
            times[name][width] = curve
    return {
        name: replace(history, times={width: times[name][width] for width in history.samples})
        for name, history in histories.items()
    }


def _curves(samples: Samples) -> dict[str, Curve]:
    """Curves of models and levels of pace fitted in turn, each to what the other leaves (median polish; Tukey 1977)."""
    readings = _readings(samples)
    logs = {name: [math.log(max(SHORTEST_MS, each.run_time_ms)) for each in own] for name, own in samples.items()}
    shifts = {name: [0.0] * len(own) for name, own in samples.items()}
    curves = _fit(samples, logs, shifts)
    before: list[float] = []
    for _ in range(_ROUNDS):
        levels = _levels(readings, [_residual(each, samples, logs, curves) for each in readings])
        if all(abs(level - old) < _SETTLED for level, old in zip(levels, before or [0.0] * len(levels), strict=True)):
            break
        before = levels
        for reading, level in zip(readings, levels, strict=True):
            for index in reading.indexes:
                shifts[reading.model_name][index] = -level
        curves = _fit(samples, logs, shifts)
    return curves


def _readings(samples: Samples) -> list[_Reading]:
    readings = []
    for name, own in samples.items():
        held: list[int] = []
        for index, each in enumerate(own):
            first = own[held[0]] if held else each
            busy = sum(own[other].run_time_ms for other in held)
            if (first.moment, first.batch_size) != (each.moment, each.batch_size) or busy >= _READING_MS:
                readings.append(_Reading(name, first.moment, tuple(held)))
                held = []
            held.append(index)
        if held:
            readings.append(_Reading(name, own[held[0]].moment, tuple(held)))
    return sorted(readings, key=lambda reading: reading.moment)


def _residual(
    reading: _Reading, samples: Samples, logs: Mapping[str, Sequence[float]], curves: Mapping[str, Curve]
) -> float:
    own, name = samples[reading.model_name], reading.model_name
    expected = math.log(curves[name].at(own[reading.indexes[0]].batch_size))
    return statistics.median(logs[name][index] for index in reading.indexes) - expected


def _levels(readings: Sequence[_Reading], residuals: Sequence[float]) -> list[float]:
    """The level at each reading, over that at the newest; 0 where it never changed.

    A model that was met on few occasions is as fast as it is at whatever level there was: it says nothing of levels,
    and is given that of the reading before.
    """
    occasions: dict[str, set[int]] = {}
    for reading in readings:
        occasions.setdefault(reading.model_name, set()).add(reading.moment)
    telling = [index for index, each in enumerate(readings) if len(occasions[each.model_name]) >= _TELLING_OCCASIONS][
        -_MOST_READINGS:
    ]
    if not telling:
        return [0.0] * len(readings)
    known = dict(zip(telling, level_path([residuals[index] for index in telling]), strict=True))
    level, newest = known[telling[0]], known[telling[-1]]
    levels = []
    for index in range(len(readings)):
        level = known.get(index, level)
        levels.append(level - newest)
    return levels


def _fit(
    samples: Samples, logs: Mapping[str, Sequence[float]], shifts: Mapping[str, Sequence[float]]
) -> dict[str, Curve]:
    return {
        name: fit_curve(
            [
                (each.batch_size, max(SHORTEST_MS, math.exp(log + shift)))
                for each, log, shift in zip(own, logs[name], shifts[name], strict=True)
            ],
            fixed_share=FIXED_TIME_SHARE,
            occasions=[each.moment for each in own],
        )
        for name, own in samples.items()
    }
