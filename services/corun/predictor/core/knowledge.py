"""All that the predictor knows, as a value: learning makes a new one and leaves the old one as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corun.predictor.core.calibration import Calibration, calibrate
from corun.predictor.core.history import History
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.rates import rates_of
from corun.predictor.core.workload import Place

# Bounds of memory: what was learnt longest ago is forgotten first.
MAX_HISTORIES = 1024
MAX_FEATURES = 4096


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Histories by place and model, graphs by model, and the calibration of every observed place.

    Histories and graphs are in the order in which they were last added to.
    """

    histories: Mapping[tuple[Place, str], History] = field(default_factory=dict)
    features: Mapping[str, GraphFeatures] = field(default_factory=dict)
    calibrations: Mapping[Place, Calibration] = field(default_factory=dict)

    def learned(self, lessons: Sequence[Lesson]) -> Knowledge:
        """This knowledge and the lessons', in their order."""
        features = dict(self.features)
        fresh: dict[tuple[Place, str], list[Observation]] = {}
        for lesson in lessons:
            for name, graph in lesson.features.items():
                features.pop(name, None)
                features[name] = graph
            for observation in lesson.observations:
                assert lesson.place is not None
                fresh.setdefault((lesson.place, observation.model_name), []).append(observation)
        histories = dict(self.histories)
        for (place, name), observations in fresh.items():
            history = histories.pop((place, name), History())
            histories[place, name] = history.extended(observations, thread_mb=rates_of(place).thread_mb)
        _forget_oldest(histories, MAX_HISTORIES)
        _forget_oldest(features, MAX_FEATURES)
        return Knowledge(histories, features, _calibrations(histories, features))

    def is_new(self, features: Mapping[str, GraphFeatures]) -> bool:
        """True where any of `features` is unknown or differs from what is known."""
        return any(self.features.get(name) != graph for name, graph in features.items())

    def calibration(self, place: Place) -> Calibration:
        """What observations say about `place`; the assumed rates where there are none."""
        return self.calibrations.get(place) or calibrate(rates_of(place))

    def lessons(self) -> list[Lesson]:
        """Lessons from which the same knowledge can be learnt, each model's observations oldest first."""
        found = [Lesson(features=dict(self.features))] if self.features else []
        for (place, _), history in self.histories.items():
            observations = tuple(each for samples in history.samples.values() for each in samples)
            found.append(Lesson(place, observations))
        return found


def _calibrations(
    histories: Mapping[tuple[Place, str], History], features: Mapping[str, GraphFeatures]
) -> dict[Place, Calibration]:
    observed: dict[Place, dict[str, History]] = {}
    for (place, name), history in histories.items():
        observed.setdefault(place, {})[name] = history
    return {place: calibrate(rates_of(place), by_name, features) for place, by_name in observed.items()}


def _forget_oldest(entries: dict[Any, Any], most: int) -> None:
    for key in list(entries)[: max(0, len(entries) - most)]:
        del entries[key]
