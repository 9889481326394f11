"""All that the predictor knows, as a value: learning makes a new one and leaves the old one as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from corun.predictor.core.adjustment import Adjustment
from corun.predictor.core.calibration import Calibration, calibrate
from corun.predictor.core.conditions import Conditions, Timeline
from corun.predictor.core.correction import IDENTITY, LinearCorrection
from corun.predictor.core.execution import Experience
from corun.predictor.core.history import History
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.rates import rates_of
from corun.predictor.core.undisturbed import followed
from corun.predictor.core.workload import Place, Platform

# Bounds of memory: what was learnt longest ago is forgotten first.
MAX_HISTORIES = 1024
MAX_FEATURES = 4096
MAX_PLACES = 32
MAX_EXPERIENCES = 128

_Key = TypeVar("_Key")
_Dated = TypeVar("_Dated", Observation, Experience)

_NO_ADJUSTMENT = Adjustment()
_NO_TIMELINE = Timeline()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was learnt, and what follows from it.

    Attributes:
        histories: Observed runs by place and model, in the order in which they were last added to.
        features: Graphs by model, in the same order.
        experiences: The newest executions by place, oldest first.
        corrections: The refined correction of latency that serves, by platform.
        calibrations: What all models of a place have in common.
        adjustments: What the newest executions of a place add to the correction.
        timelines: The conditions of a place in the course of time.
        moments: How many lessons there were in a place.
    """

    histories: Mapping[tuple[Place, str], History] = field(default_factory=dict)
    features: Mapping[str, GraphFeatures] = field(default_factory=dict)
    experiences: Mapping[Place, tuple[Experience, ...]] = field(default_factory=dict)
    corrections: Mapping[Platform, LinearCorrection] = field(default_factory=dict)
    calibrations: Mapping[Place, Calibration] = field(default_factory=dict)
    adjustments: Mapping[Place, Adjustment] = field(default_factory=dict)
    timelines: Mapping[Place, Timeline] = field(default_factory=dict)
    moments: Mapping[Place, int] = field(default_factory=dict)

    def learned(self, lessons: Sequence[Lesson]) -> Knowledge:
        """This knowledge and the lessons', in their order. Adjustments stay as they are: see `learning`."""
        features, experiences, moments = dict(self.features), dict(self.experiences), dict(self.moments)
        fresh: dict[tuple[Place, str], list[Observation]] = {}
        for lesson in lessons:
            for name, graph in lesson.features.items():
                features.pop(name, None)
                features[name] = graph
            if lesson.place is None:
                continue
            moment = moments.get(lesson.place, 0) + 1
            observed, experienced = _dated(lesson.observations, moment), _dated(lesson.experiences, moment)
            for observation in observed:
                fresh.setdefault((lesson.place, observation.model_name), []).append(observation)
            if experienced:
                kept = (*experiences.pop(lesson.place, ()), *experienced)
                experiences[lesson.place] = kept[-MAX_EXPERIENCES:]
            dates = [each.moment for each in observed] + [each.moment for each in experienced]
            moments[lesson.place] = max([moment - 1, *dates])
        histories = dict(self.histories)
        for (place, name), observations in fresh.items():
            history = histories.pop((place, name), History())
            histories[place, name] = history.extended(observations, thread_mb=rates_of(place).thread_mb)
        forgotten = {place for place, _ in _forget_oldest(histories, MAX_HISTORIES)}
        timelines = {}
        for place in touched(lessons):
            own = {name: history for (where, name), history in histories.items() if where == place}
            found, timelines[place] = followed(own, experiences.get(place, ()), one_device=rates_of(place).one_device)
            histories |= {(place, name): history for name, history in found.items()}
        _forget_oldest(features, MAX_FEATURES)
        _forget_oldest(experiences, MAX_PLACES)
        places = {place for place, _ in histories} | experiences.keys()
        timelines = {place: each for place, each in {**self.timelines, **timelines}.items() if place in places}
        learned = replace(
            self, histories=histories, features=features, experiences=experiences, moments=moments, timelines=timelines
        )
        unchanged = places - touched(lessons) - forgotten if features == self.features else set()
        return replace(learned, calibrations=_calibrations(learned, places, self.calibrations, unchanged))

    def is_new(self, features: Mapping[str, GraphFeatures]) -> bool:
        """True where any of `features` is unknown or differs from what is known."""
        return any(self.features.get(name) != graph for name, graph in features.items())

    def calibration(self, place: Place) -> Calibration:
        """What observations say about `place`; the assumed rates where there are none."""
        return self.calibrations.get(place) or calibrate(rates_of(place))

    def timeline(self, place: Place) -> Timeline:
        """The conditions in `place` in the course of time."""
        return self.timelines.get(place, _NO_TIMELINE)

    def conditions_at(self, place: Place, end_time: float) -> Conditions:
        """The conditions in `place` around an execution that ended then, seconds since 1970; today's where unknown."""
        timed = [each for each in self.experiences.get(place, ()) if each.end_time]
        timeline = self.timeline(place)
        if not timed or not end_time:
            return timeline.now
        return timeline.at(min(timed, key=lambda each: abs(each.end_time - end_time)).moment)

    def adjustment(self, place: Place) -> Adjustment:
        """What the newest executions in `place` say; nothing where there are none."""
        return self.adjustments.get(place, _NO_ADJUSTMENT)

    def correction(self, platform: Platform) -> LinearCorrection:
        """The refined correction that serves a platform; the identity where there is none."""
        return self.corrections.get(platform, IDENTITY)

    def lessons(self) -> list[Lesson]:
        """Lessons from which the same can be learnt, each model's observations and executions oldest first."""
        found = [Lesson(features=dict(self.features))] if self.features else []
        for (place, _), history in self.histories.items():
            observations = tuple(each for samples in history.samples.values() for each in samples)
            found.append(Lesson(place, observations))
        found += [Lesson(place, experiences=experiences) for place, experiences in self.experiences.items()]
        return found


def _dated(entries: Sequence[_Dated], moment: int) -> list[_Dated]:
    """Those that were not learnt yet are of this moment."""
    return [each if each.moment else replace(each, moment=moment) for each in entries]


def touched(lessons: Sequence[Lesson]) -> set[Place]:
    """Places of which lessons say something."""
    return {lesson.place for lesson in lessons if lesson.place is not None}


def _calibrations(
    knowledge: Knowledge,
    places: Collection[Place],
    before: Mapping[Place, Calibration],
    unchanged: Collection[Place],
) -> dict[Place, Calibration]:
    observed: dict[Place, dict[str, History]] = {place: {} for place in places}
    for (place, name), history in knowledge.histories.items():
        observed[place][name] = history
    return {
        place: before[place]
        if place in unchanged and place in before
        else calibrate(rates_of(place), by_name, knowledge.features, knowledge.experiences.get(place, ()))
        for place, by_name in observed.items()
    }


def _forget_oldest(entries: dict[_Key, Any], most: int) -> list[_Key]:
    oldest = list(entries)[: max(0, len(entries) - most)]
    for key in oldest:
        del entries[key]
    return oldest
