"""What models take alone, and under which conditions it was measured, told apart.

What slows a machine down slows every model on it. So conditions are looked for in the runs of all models of a place
together, those beside others included: a model that was last run beside another program needs no new run to be known
without it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from corun.predictor.core.conditions import Array, Reading, Timeline, follow, shares
from corun.predictor.core.contention import measured_contention, measured_count
from corun.predictor.core.curve import Curve, fit_curve
from corun.predictor.core.execution import Experience
from corun.predictor.core.history import FIXED_TIME_SHARE, SHORTEST_MS, History
from corun.predictor.core.observation import Observation
from corun.predictor.core.sharing import Machine, SharedRun, makespan

_ROUNDS = 4
# Corrections that move less than this between two rounds of the fit have settled.
_SETTLED = 0.01
# Short runs of one report are one reading of the conditions for each half second that they took.
_READING_MS = 500.0
# Newest readings, and newest executions, that are looked at.
_MOST_READINGS, _MOST_EXPERIENCES = 400, 64
# Occasions on which a model has to have been met, and executions that have to have told what sharing costs.
_TELLING_OCCASIONS, _TELLING_CONTENTIONS = 3, 5
# Of how many shares of the cores one is worked out; those between lie on a line.
_EVERY = 3

_Setting = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Some runs of a model in one report and lane width: their places in its samples."""

    setting: _Setting
    moment: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Machines:
    """The machine of a place beside other programs that take this or that, `taken` in cores."""

    one_device: bool
    contention: float
    core_count: int
    taken: Array

    def with_taken(self, taken: float) -> Machine:
        return Machine(self.core_count, self.contention, self.one_device, taken)

    def stretches(self, lane_width: int) -> Array:
        """How many times longer a run alone takes, for each of `taken`."""
        return np.array([self.with_taken(float(taken)).stretch([lane_width]) for taken in self.taken])

    def spans_ms(self, runs: Sequence[SharedRun]) -> Array:
        """How long runs take that start together, milliseconds, for each of `taken`; every few are worked out."""
        worked_out = np.append(self.taken[:-1:_EVERY], self.taken[-1:])
        spans = [makespan(runs, self.with_taken(float(taken))) for taken in worked_out]
        return np.interp(self.taken, worked_out, spans)


def followed(
    histories: Mapping[str, History], experiences: Sequence[Experience], *, one_device: bool
) -> tuple[dict[str, History], Timeline]:
    """The histories of a place, by model, with their times at today's pace beside no other program; and the conditions.

    Curves of models and conditions are fitted in turn, each to what the other leaves (median polish; Tukey 1977).
    """
    # Without executions nobody has said how many cores there are, nor shown what else runs.
    core_count = experiences[-1].core_count if experiences and not one_device else 1
    taken = shares(core_count) if core_count > 1 else np.zeros(1)
    machines = _Machines(one_device, max(0.0, measured_contention(experiences) or 0.0), core_count, taken)
    samples = {(name, width): own for name, history in histories.items() for width, own in history.samples.items()}
    groups = _groups(samples)
    logs = {setting: [math.log(max(SHORTEST_MS, each.run_time_ms)) for each in own] for setting, own in samples.items()}
    shifts = {setting: [0.0] * len(own) for setting, own in samples.items()}
    timeline = Timeline()
    curves = _fit(samples, logs, shifts)
    for _ in range(_ROUNDS):
        readings = [*_alone(groups, samples, logs, curves, machines), *_beside(experiences, curves, machines)]
        readings.sort(key=lambda reading: reading.moment)
        timeline = follow(readings[-_MOST_READINGS:], taken)
        before, shifts = shifts, _shifts(samples, timeline, machines)
        if _settled(before, shifts):
            break
        curves = _fit(samples, logs, shifts)
    found = {
        name: replace(history, times={width: curves[name, width] for width in history.samples})
        for name, history in histories.items()
    }
    return found, timeline


def _groups(samples: Mapping[_Setting, Sequence[Observation]]) -> list[_Group]:
    groups = []
    for setting, own in samples.items():
        held: list[int] = []
        for index, each in enumerate(own):
            first = own[held[0]] if held else each
            busy = sum(own[other].run_time_ms for other in held)
            if (first.moment, first.batch_size) != (each.moment, each.batch_size) or busy >= _READING_MS:
                groups.append(_Group(setting, first.moment, tuple(held)))
                held = []
            held.append(index)
        if held:
            groups.append(_Group(setting, own[held[0]].moment, tuple(held)))
    return groups


def _alone(
    groups: Sequence[_Group],
    samples: Mapping[_Setting, Sequence[Observation]],
    logs: Mapping[_Setting, Sequence[float]],
    curves: Mapping[_Setting, Curve],
    machines: _Machines,
) -> Iterator[Reading]:
    """Readings of runs alone.

    A model that was met on few occasions is as fast as it is under whatever conditions there were: it says nothing of
    them.
    """
    occasions: dict[str, set[int]] = {}
    for group in groups:
        occasions.setdefault(group.setting[0], set()).add(group.moment)
    stretches = {width: np.log(machines.stretches(width)) for _, width in samples}
    for group in groups:
        name, width = group.setting
        if len(occasions[name]) < _TELLING_OCCASIONS:
            continue
        expected_ms = curves[group.setting].at(samples[group.setting][group.indexes[0]].batch_size)
        measured = statistics.median(logs[group.setting][index] for index in group.indexes)
        excess = measured - math.log(expected_ms) - stretches[width]
        yield Reading(group.moment, width, excess, samples[group.setting][group.indexes[0]].other_programs_cores)


def _beside(
    experiences: Sequence[Experience], curves: Mapping[_Setting, Curve], machines: _Machines
) -> Iterator[Reading]:
    """Readings of stages with several runs, all of whose models were observed alone.

    There are none until a few executions have told what runs cost each other here: else that would look like another
    program.
    """
    if measured_count(experiences) < _TELLING_CONTENTIONS:
        return
    for each in experiences[-_MOST_EXPERIENCES:]:
        if not each.moment or not each.stages_ms:
            continue
        for stage, measured_ms in zip(each.plan.stages, each.stages_ms, strict=True):
            settings = [(run.model_name, each.plan.lane_widths[run.lane]) for run in stage.runs]
            if len(settings) < 2 or any(setting not in curves for setting in settings):
                continue
            runs = [
                SharedRun(curves[setting].at(run.batch_size), setting[1])
                for setting, run in zip(settings, stage.runs, strict=True)
            ]
            excess = math.log(measured_ms) - np.log(machines.spans_ms(runs))
            yield Reading(each.moment, "beside", excess, each.other_programs_cores)


def _shifts(
    samples: Mapping[_Setting, Sequence[Observation]], timeline: Timeline, machines: _Machines
) -> dict[_Setting, list[float]]:
    """What is to be added to the logarithms of the samples, for today's pace beside no other program."""

    def shift(width: int, moment: int) -> float:
        conditions = timeline.at(moment)
        stretch = machines.with_taken(conditions.taken).stretch([width])
        return -conditions.pace - math.log(stretch)

    return {setting: [shift(setting[1], each.moment) for each in own] for setting, own in samples.items()}


def _settled(before: Mapping[_Setting, Sequence[float]], after: Mapping[_Setting, Sequence[float]]) -> bool:
    return all(
        abs(new - old) < _SETTLED for setting in after for old, new in zip(before[setting], after[setting], strict=True)
    )


def _fit(
    samples: Mapping[_Setting, Sequence[Observation]],
    logs: Mapping[_Setting, Sequence[float]],
    shifts: Mapping[_Setting, Sequence[float]],
) -> dict[_Setting, Curve]:
    return {
        setting: fit_curve(
            [
                (each.batch_size, max(SHORTEST_MS, math.exp(log + shift)))
                for each, log, shift in zip(own, logs[setting], shifts[setting], strict=True)
            ],
            fixed_share=FIXED_TIME_SHARE,
            occasions=[each.moment for each in own],
        )
        for setting, own in samples.items()
    }
