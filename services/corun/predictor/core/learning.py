"""Learning: what is worth learning of a request, and the knowledge that follows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from corun.errors import ModelNeverObserved
from corun.planning.planner import Plan
from corun.predictor.core.adjustment import Adjustment, Residual, fit_adjustment
from corun.predictor.core.calibration import Calibration
from corun.predictor.core.composition import Composition, compose
from corun.predictor.core.conformal import deviations
from corun.predictor.core.contention import contention_readings, longest_runs_ms, measured_dispatch_ms
from corun.predictor.core.correction import LinearCorrection, latency_features
from corun.predictor.core.execution import Execution, Experience, Surprise
from corun.predictor.core.knowledge import Knowledge, touched
from corun.predictor.core.memory_law import Weighed, fit_memory_law
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.plausibility import doubt_about_execution, doubt_about_observation
from corun.predictor.core.prediction import StrategyPrediction, predict_plan, remembered_solo_times
from corun.predictor.core.solo import Basis
from corun.predictor.core.workload import Environment, Place, Platform

# Executions that the adjustment rests on; older ones only count for the intervals.
_ADJUSTED = 64


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody says was measured: runs of single models in `place`, executed plans each with their own place."""

    place: Place
    observations: tuple[Observation, ...] = ()
    executions: tuple[tuple[Place, Execution], ...] = ()
    features: Mapping[str, GraphFeatures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Examined:
    """What of a report is to be learnt, and why the rest is not, a sentence each."""

    lessons: tuple[Lesson, ...]
    doubts: tuple[str, ...] = ()


def examine(knowledge: Knowledge, report: Report) -> Examined:
    """Holds each record against what is known before it is learnt; implausible ones are left out with a reason."""
    known = knowledge
    if knowledge.is_new(report.features):
        known = knowledge.learned([Lesson(features=report.features)])
    doubts, believed = [], []
    for index, observation in enumerate(report.observations):
        doubt = doubt_about_observation(known, report.place, observation)
        if doubt is None:
            believed.append(observation)
        else:
            doubts.append(f"observations[{index}]: {doubt}")
    lessons = {}
    if believed or report.features:
        lessons[report.place] = Lesson(report.place, tuple(believed), report.features)
    for index, (place, execution) in enumerate(report.executions):
        examined = _examined(known, place, execution)
        if isinstance(examined, Experience):
            lesson = lessons.get(place, Lesson(place))
            lessons[place] = replace(lesson, experiences=(*lesson.experiences, examined))
        else:
            doubts.append(f"executions[{index}]: {examined}")
    return Examined(tuple(lessons.values()), tuple(doubts))


def learn(knowledge: Knowledge, lessons: Sequence[Lesson]) -> Knowledge:
    """The knowledge with the lessons learnt, and adjusted to the newest executions."""
    learned = knowledge.learned(lessons)
    every = any(lesson.features for lesson in lessons)
    places = learned.experiences.keys() if every else learned.experiences.keys() & touched(lessons)
    return _adjusted(learned, places)


def corrected(knowledge: Knowledge, corrections: Mapping[Platform, LinearCorrection]) -> Knowledge:
    """The knowledge with other refined corrections, and adjusted anew to what they leave over."""
    changed = {
        platform
        for platform in corrections.keys() | knowledge.corrections.keys()
        if corrections.get(platform) != knowledge.corrections.get(platform)
    }
    places = {place for place in knowledge.experiences if place.platform in changed}
    return _adjusted(replace(knowledge, corrections=dict(corrections)), places)


def _adjusted(knowledge: Knowledge, places: Iterable[Place]) -> Knowledge:
    adjustments = {place: each for place, each in knowledge.adjustments.items() if place in knowledge.experiences}
    adjustments |= {place: _adjustment(knowledge, place) for place in places}
    return replace(knowledge, adjustments=adjustments)


def _adjustment(knowledge: Knowledge, place: Place) -> Adjustment:
    """Old executions are predicted anew: what single runs taught in the meantime must not be learnt twice."""
    correction = knowledge.correction(place.platform)
    solo_times = remembered_solo_times(knowledge, place)
    latency, weighed = [], []
    experiences = knowledge.experiences[place]

    timeline = knowledge.timeline(place)

    @cache  # a workload that is run over and over has the same plan each time
    def composed(plan: Plan, core_count: int, taken: float) -> Composition:
        return compose(plan, Environment(place, core_count), knowledge, solo_times, taken=taken)

    for each in experiences[-_ADJUSTED:]:
        try:
            conditions = timeline.at(each.moment)
            composition = composed(each.plan, each.core_count, conditions.taken)
        except ModelNeverObserved:  # forgotten since
            continue
        features = latency_features(each.plan, composition)
        ratio = math.log(each.latency_ms / composition.latency_ms) - conditions.pace - correction.log_factor(features)
        latency.append(Residual(features, ratio))
        if each.memory_mb is not None:
            weighed.append(Weighed(composition.memory, each.memory_mb))
    return Adjustment(
        latency=fit_adjustment(latency),
        memory=fit_memory_law(weighed),
        latency_deviations=deviations([each.latency for each in experiences]),
        memory_deviations=deviations([each.memory for each in experiences if each.memory is not None]),
    )


def _examined(knowledge: Knowledge, place: Place, execution: Execution) -> Experience | str:
    """What is kept of an execution, or why it is not learnt."""
    environment = Environment(place, execution.core_count)
    try:
        predicted = predict_plan(knowledge, execution.plan, environment, remembered_solo_times(knowledge, place))
    except ModelNeverObserved as error:
        return error.message
    doubt = doubt_about_execution(execution, predicted)
    if doubt is not None:
        return doubt
    return _experienced(execution, predicted, knowledge.calibration(place))


def _experienced(execution: Execution, predicted: StrategyPrediction, calibration: Calibration) -> Experience:
    composition = predicted.composition
    stages = [(index, run) for index, stage in enumerate(execution.plan.stages) for run in stage.runs]
    # A time from the graph would pass its own error on to the contention.
    solo_ms = {
        (stage, run.model_name, run.batch_size): solo.time_ms
        for (stage, run), solo in zip(stages, composition.solo_times, strict=True)
        if solo.basis is Basis.OBSERVED
    }
    memory = None
    if execution.memory_mb is not None:
        memory = Surprise(math.log(execution.memory_mb / predicted.memory_mb.value), predicted.memory_log_sigma)
    return Experience(
        plan=execution.plan,
        core_count=execution.core_count,
        latency_ms=execution.latency_ms,
        memory_mb=execution.memory_mb,
        end_time=execution.end_time,
        latency=Surprise(math.log(execution.latency_ms / predicted.latency_ms.value), composition.log_sigma),
        memory=memory,
        contentions=contention_readings(
            execution, solo_ms, one_device=calibration.rates.one_device, taken=composition.taken
        ),
        stages_ms=longest_runs_ms(execution),
        dispatch_ms=measured_dispatch_ms(execution),
        other_programs_cores=execution.other_programs_cores,
    )
