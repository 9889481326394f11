"""Records of a refinement, as far as they can be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from corun.errors import ModelNeverObserved
from corun.predictor.core.correction import latency_features
from corun.predictor.core.estimators import Sample
from corun.predictor.core.execution import Execution
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.plausibility import doubt_about_execution
from corun.predictor.core.prediction import predict_plan, remembered_solo_times
from corun.predictor.core.workload import Environment, Place, Platform


@dataclass(frozen=True, slots=True)
class Dataset:
    """Usable samples oldest first, their composed latencies in milliseconds, and why the others are not usable."""

    samples: tuple[Sample, ...]
    composed_ms: tuple[float, ...]
    doubts: tuple[str, ...]


def dataset_of(knowledge: Knowledge, records: Sequence[tuple[Place, Execution]]) -> Dataset:
    """Composes every record anew, under the conditions of its time.

    In order of their ends, where all are known; else as they come.
    """
    if all(execution.end_time > 0 for _, execution in records):
        records = sorted(records, key=lambda record: record[1].end_time)
    solo_times = {place: remembered_solo_times(knowledge, place) for place, _ in records}
    samples, composed_ms, doubts = [], [], []
    for place, execution in records:
        try:
            environment = Environment(place, execution.core_count)
            conditions = knowledge.conditions_at(place, execution.end_time)
            predicted = predict_plan(knowledge, execution.plan, environment, solo_times[place], conditions=conditions)
        except ModelNeverObserved as error:
            doubts.append(error.message)
            continue
        doubt = doubt_about_execution(execution, predicted)
        if doubt is not None:
            doubts.append(doubt)
            continue
        composed = predicted.composition.latency_ms * math.exp(conditions.pace)
        features = latency_features(execution.plan, predicted.composition)
        samples.append(Sample(place.platform, features, math.log(execution.latency_ms / composed)))
        composed_ms.append(composed)
    return Dataset(tuple(samples), tuple(composed_ms), tuple(doubts))


def own_samples(knowledge: Knowledge, platform: Platform) -> list[Sample]:
    """The newest executions on a platform that the predictor has seen itself."""
    records = [
        (place, Execution(each.plan, each.core_count, each.latency_ms, end_time=each.end_time))
        for place, experiences in knowledge.experiences.items()
        if place.platform is platform
        for each in experiences[-_OWN:]
    ]
    return list(dataset_of(knowledge, records).samples)


_OWN = 16
