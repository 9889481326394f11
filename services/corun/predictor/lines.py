"""Lessons as lines of JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.workload import Place, Platform
from corun.predictor.experiences import read_experience, write_experience


class UnreadableLine(Exception):
    """A line that is not a whole, valid entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A lesson, and the number of the predictor's version that first included it."""

    version: int
    lesson: Lesson


def write_line(entry: Entry) -> bytes:
    """The entry as one line, its end included."""
    lesson = entry.lesson
    fields: dict[str, Any] = {"version": entry.version}
    if lesson.place is not None:
        fields["platform"], fields["engine"] = lesson.place.platform.value, lesson.place.engine
    if lesson.observations:
        fields["observations"] = [
            [
                each.model_name,
                each.batch_size,
                each.lane_width,
                each.run_time_ms,
                each.memory_mb,
                each.load_time_ms,
                each.moment,
                each.other_programs_cores,
            ]
            for each in lesson.observations
        ]
    if lesson.experiences:
        fields["experiences"] = [write_experience(each) for each in lesson.experiences]
    if lesson.features:
        fields["features"] = {name: asdict(graph) for name, graph in lesson.features.items()}
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_line(line: bytes) -> Entry:
    """The entry of a line.

    Raises:
        UnreadableLine: when it was cut short or holds anything that `write_line` would not have written.
    """
    if not line.endswith(b"\n"):
        raise UnreadableLine("it has no end")
    try:
        fields = json.loads(line)
        place = Place(Platform(fields["platform"]), str(fields["engine"])) if "platform" in fields else None
        observations = tuple(map(_observation, fields.get("observations", [])))
        features = {name: _graph(each) for name, each in fields.get("features", {}).items()}
        experiences = tuple(map(read_experience, fields.get("experiences", [])))
        return Entry(int(fields["version"]), Lesson(place, observations, features, experiences))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableLine(f"{type(error).__name__}: {error}") from error


def _observation(fields: list[Any]) -> Observation:
    name, batch_size, lane_width, run_time_ms, memory_mb, load_time_ms, *newer = fields
    # Older journals have neither, or only the moment.
    moment = newer[0] if newer else 0
    others = newer[1] if len(newer) > 1 else None
    above = [batch_size, lane_width, run_time_ms] + [each for each in (memory_mb, load_time_ms) if each is not None]
    least = [moment] if others is None else [moment, others]
    if not all(math.isfinite(each) and each >= 0 for each in (*above, *least)) or 0 in above:
        raise ValueError(f"figures out of range: {fields}")
    return Observation(
        name, int(batch_size), int(lane_width), float(run_time_ms), memory_mb, load_time_ms, others, int(moment)
    )


def _graph(fields: dict[str, Any]) -> GraphFeatures:
    graph = GraphFeatures(**fields)
    if not all(math.isfinite(each) and each >= 0 for each in fields.values()):
        raise ValueError(f"figures out of range: {fields}")
    return graph
