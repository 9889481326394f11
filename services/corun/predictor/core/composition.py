"""What a plan costs, out of the solo times of its runs and what they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from corun.planning.planner import Plan, PlannedRun
from corun.predictor.core.interval import NOISE_FLOOR
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.loading import loading_ms
from corun.predictor.core.memory import plan_memory
from corun.predictor.core.memory_law import PlanMemory
from corun.predictor.core.sharing import Machine, SharedRun, makespan
from corun.predictor.core.solo import SoloTime
from corun.predictor.core.workload import Environment

# Errors of different stages have half of their variance in common: the machine's mood, the rates.
_COMMON_VARIANCE = 0.5

SoloTimes = Callable[[PlannedRun, int], SoloTime]


@dataclass(frozen=True, slots=True)
class Composition:
    """The explained cost of a plan.

    `solo_ms` is the sum over stages of the longest solo run, `contention_ms` what sharing adds, `other_programs_ms`
    what programs add that take `taken` cores, `dispatch_ms` the hand-over; they add up to the latency. `loading_ms`
    comes before it where no lane holds the models. `log_sigma` is the standard deviation of the latency's logarithm.
    `solo_times` are in the order of the plan's stages.
    """

    solo_ms: float
    contention_ms: float
    other_programs_ms: float
    dispatch_ms: float
    loading_ms: float
    taken: float
    log_sigma: float
    memory: PlanMemory
    solo_times: tuple[SoloTime, ...]

    @property
    def latency_ms(self) -> float:
        """From dispatch of the first run to the last result, milliseconds."""
        return self.solo_ms + self.contention_ms + self.other_programs_ms + self.dispatch_ms


def compose(
    plan: Plan, environment: Environment, knowledge: Knowledge, solo_times: SoloTimes, *, taken: float
) -> Composition:
    """The cost of `plan`; `solo_times` gives the solo time of a run in a lane of a width.

    `taken` is how many cores other programs take.
    """
    calibration = knowledge.calibration(environment.place)
    alone = Machine(environment.core_count, calibration.sharing.contention, calibration.rates.one_device)
    machine = replace(alone, taken=taken)
    stages = [[solo_times(run, plan.lane_widths[run.lane]) for run in stage.runs] for stage in plan.stages]
    spans = [_span(stage, machine) for stage in stages]
    longest = sum(max(solo.time_ms for solo in stage) for stage in stages)
    busy = sum(span for span, _ in spans)
    without = sum(makespan(_shared(stage), alone) for stage in stages) if taken else busy
    dispatch = calibration.sharing.dispatch_ms * sum(map(len, stages))
    contention_error = calibration.sharing.contention_error * (busy - longest)
    spread = math.hypot(_summed_error([error for _, error in spans]), contention_error) / (busy + dispatch)
    return Composition(
        solo_ms=longest,
        contention_ms=without - longest,
        other_programs_ms=busy - without,
        dispatch_ms=dispatch,
        loading_ms=loading_ms(knowledge, environment.place, plan),
        taken=taken,
        log_sigma=max(NOISE_FLOOR, spread),
        memory=plan_memory(knowledge, environment.place, plan),
        solo_times=tuple(solo for stage in stages for solo in stage),
    )


def _span(stage: Sequence[SoloTime], machine: Machine) -> tuple[float, float]:
    """The makespan of a stage and its standard error, milliseconds, with the runs' errors going the same way."""
    span = makespan(_shared(stage), machine)
    slow = [SharedRun(solo.time_ms * math.exp(solo.log_sigma), solo.lane_width) for solo in stage]
    return span, span * math.log(makespan(slow, machine) / span)


def _shared(stage: Sequence[SoloTime]) -> list[SharedRun]:
    return [SharedRun(solo.time_ms, solo.lane_width) for solo in stage]


def _summed_error(errors: Sequence[float]) -> float:
    alone = (1 - _COMMON_VARIANCE) * sum(error**2 for error in errors)
    together = _COMMON_VARIANCE * sum(errors) ** 2
    return math.sqrt(alone + together)
