"""What was observed of one model in one place, bounded, with the curves fitted to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from corun.predictor.core.curve import Curve, fit_curve
from corun.predictor.core.drift import realigned
from corun.predictor.core.observation import Observation

MAX_SAMPLES = 64
MAX_WIDTHS = 8
# Changes of the machine's speed that kept samples may lie on either side of.
_CHANGES = 4
# Below what browsers' clocks can tell.
_SHORTEST_MS = 0.001
# Parts of a figure at batch size 1 that do not grow with the batch, where one batch size cannot tell: the
# overhead of a run is a small part of its time; weights and runtime are most of its memory.
_FIXED_TIME_SHARE = 0.1
_FIXED_MEMORY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class History:
    """Observations of a model in a place, newest last, by lane width; the width observed last comes last.

    Attributes:
        samples: At most `MAX_SAMPLES` a width, at most `MAX_WIDTHS` widths.
        times: Run time in milliseconds by lane width.
        memory: Peak memory in megabytes less the lane's threads, over all widths; None where never measured.
    """

    samples: Mapping[int, tuple[Observation, ...]] = field(default_factory=dict)
    times: Mapping[int, Curve] = field(default_factory=dict)
    memory: Curve | None = None

    @property
    def count(self) -> int:
        """Observations kept."""
        return sum(map(len, self.samples.values()))

    def extended(self, observations: Iterable[Observation], *, thread_mb: float) -> History:
        """This history with newer observations; only the curves that they touch are fitted again."""
        samples, times = dict(self.samples), dict(self.times)
        newer: dict[int, list[Observation]] = {}
        for observation in observations:
            newer.setdefault(observation.lane_width, []).append(observation)
        for width, fresh in newer.items():
            kept = _newest([*samples.pop(width, ()), *fresh])
            samples[width] = kept
            times[width] = _time_curve([(each.batch_size, max(_SHORTEST_MS, each.run_time_ms)) for each in kept])
        for width in list(samples)[:-MAX_WIDTHS]:
            del samples[width], times[width]
        return History(samples, times, _memory_curve(samples, thread_mb))


def _newest(observations: Sequence[Observation]) -> tuple[Observation, ...]:
    """The newest of every batch size in turn, so that a batch size often run does not push out the others."""
    seen: dict[int, int] = {}
    ages = []
    for position in reversed(range(len(observations))):
        batch_size = observations[position].batch_size
        seen[batch_size] = seen.get(batch_size, 0) + 1
        ages.append((seen[batch_size], -position))
    kept = sorted(-position for _, position in sorted(ages)[:MAX_SAMPLES])
    return tuple(observations[position] for position in kept)


def _time_curve(samples: Sequence[tuple[int, float]]) -> Curve:
    """The curve at the newest level: where the machine became slower or faster, older times are scaled to now."""
    curve = fit_curve(samples, fixed_share=_FIXED_TIME_SHARE)
    logs = [math.log(time_ms / curve.at(batch_size)) for batch_size, time_ms in samples]
    aligned = realigned(logs, changes=_CHANGES)
    if aligned == logs:
        return curve
    moved = [(batch, curve.at(batch) * math.exp(log)) for (batch, _), log in zip(samples, aligned, strict=True)]
    return fit_curve(moved, fixed_share=_FIXED_TIME_SHARE)


def _memory_curve(samples: Mapping[int, Sequence[Observation]], thread_mb: float) -> Curve | None:
    measured = [
        (each.batch_size, max(1.0, each.memory_mb - thread_mb * width))
        for width, observations in samples.items()
        for each in observations
        if each.memory_mb is not None
    ]
    return fit_curve(measured, fixed_share=_FIXED_MEMORY_SHARE) if measured else None
