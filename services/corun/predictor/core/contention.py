"""What sharing costs in a place, read off the runs of whole executions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.predictor.core.execution import ContentionReading, ExecutedRun, Execution, Experience
from corun.predictor.core.interval import shrunk
from corun.predictor.core.rates import Rates
from corun.predictor.core.sharing import Machine, SharedRun, finish_times

# Handing a run to its lane and taking the result over a local socket, milliseconds, before it was measured.
DISPATCH_MS = 1.0
_LARGEST_DISPATCH_MS = 50.0
_LARGEST_CONTENTION = 3.0
# Beyond this two runs at once on two cores would be slower than one after the other on one.
_LARGEST_ON_CORES = 1.0
# Executions that the assumed figures weigh as much as.
_PRIOR_COUNT = 3.0
# How wrong the time added by sharing may be, as a share of it: assumed, and once it was measured this often.
_ASSUMED_ERROR, _MEASURED_ERROR, _MEASURED_COUNT = 0.5, 0.25, 8
# Readings of runs where sharing decides less than this share of their stage's time are noise: what a short run takes
# longer than alone is mostly its start.
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True, slots=True)
class SharingLaw:
    """Contention as a share for each further run, its error as a share of the added time, hand-over in ms."""

    contention: float
    contention_error: float = _ASSUMED_ERROR
    dispatch_ms: float = DISPATCH_MS


def contention_readings(
    execution: Execution, solo_ms: Mapping[tuple[int, str, int], float], *, one_device: bool, taken: float = 0.0
) -> tuple[ContentionReading, ...]:
    """Readings of the runs that had others beside them.

    When a run finishes is a straight line in the contention, so each measured run gives one reading. `solo_ms`
    has the time alone by stage, model and batch size; stages with a run that is not in it are left out.
    """
    readings = []
    for stage, runs in _stages(execution).items():
        shared = [
            SharedRun(solo_ms[stage, run.model_name, run.batch_size], run.lane_width)
            for run in runs
            if (stage, run.model_name, run.batch_size) in solo_ms
        ]
        if len(runs) < 2 or len(shared) < len(runs):
            continue
        none = finish_times(shared, Machine(execution.core_count, 0.0, one_device, taken))
        full = finish_times(shared, Machine(execution.core_count, 1.0, one_device, taken))
        for run, without, with_one in zip(runs, none, full, strict=True):
            slope = with_one - without
            if slope > _LEAST_WEIGHT * max(none):
                readings.append(ContentionReading((run.run_time_ms - without) / slope, slope / max(none)))
    return tuple(readings)


def longest_runs_ms(execution: Execution) -> tuple[float, ...]:
    """The time of each stage's longest run, milliseconds; empty unless every stage has one."""
    stages = _stages(execution)
    if len(stages) < len(execution.plan.stages):
        return ()
    return tuple(max(run.run_time_ms for run in stages[index]) for index in sorted(stages))


def measured_dispatch_ms(execution: Execution) -> float | None:
    """What the latency has over the longest runs of its stages, for each run, milliseconds; None without all runs."""
    longest = longest_runs_ms(execution)
    if not longest:
        return None
    return (execution.latency_ms - sum(longest)) / sum(len(stage.runs) for stage in execution.plan.stages)


def sharing_law(rates: Rates, experiences: Sequence[Experience]) -> SharingLaw:
    """The weighted median of what executions said, held towards the assumed figures while there are few."""
    measured = measured_contention(experiences)
    dispatches = [each.dispatch_ms for each in experiences if each.dispatch_ms is not None]
    contention, error = rates.contention, _ASSUMED_ERROR
    if measured is not None:
        count = measured_count(experiences)
        contention = shrunk(measured, count, prior=rates.contention, prior_count=_PRIOR_COUNT)
        error = _MEASURED_ERROR if count >= _MEASURED_COUNT else _ASSUMED_ERROR
    dispatch = DISPATCH_MS
    if dispatches:
        dispatch = shrunk(statistics.median(dispatches), len(dispatches), prior=DISPATCH_MS, prior_count=_PRIOR_COUNT)
    largest = _LARGEST_CONTENTION if rates.one_device else _LARGEST_ON_CORES
    return SharingLaw(min(largest, max(0.0, contention)), error, min(_LARGEST_DISPATCH_MS, max(0.0, dispatch)))


def measured_count(experiences: Sequence[Experience]) -> int:
    """Executions that said something of contention."""
    return sum(bool(each.contentions) for each in experiences)


def measured_contention(experiences: Sequence[Experience]) -> float | None:
    """The weighted median of what executions said; None where none did."""
    readings = [reading for each in experiences for reading in each.contentions]
    return _weighted_median(readings) if readings else None


def _stages(execution: Execution) -> dict[int, list[ExecutedRun]]:
    stages: dict[int, list[ExecutedRun]] = {}
    for run in execution.runs:
        stages.setdefault(run.stage, []).append(run)
    return stages


def _weighted_median(readings: Sequence[ContentionReading]) -> float:
    half = sum(each.weight for each in readings) / 2
    passed = 0.0
    for each in sorted(readings, key=lambda reading: reading.contention):
        passed += each.weight
        if passed >= half:
            return each.contention
    raise ValueError("no readings")
