"""What was observed of one model in one place, bounded, with the curves fitted to it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from corun.predictor.core.curve import Curve, fit_curve
from corun.predictor.core.observation import Observation

MAX_SAMPLES = 64
MAX_WIDTHS = 8
# Below what browsers' clocks can tell.
SHORTEST_MS = 0.001
# Parts of a figure at batch size 1 that do not grow with the batch, where one batch size cannot tell: the
# overhead of a run is a small part of its time; weights and runtime are most of its memory.
FIXED_TIME_SHARE = 0.1
_FIXED_MEMORY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class History:
    """Observations of a model in a place, newest last, by lane width; the width observed last comes last.

    Attributes:
        samples: At most `MAX_SAMPLES` a width, at most `MAX_WIDTHS` widths.
        times: Run time in milliseconds by lane width, at the machine's newest pace.
        memory: Peak memory in megabytes less the lane's threads, over all widths; None where never measured.
        load_ms: Median time of loading, milliseconds; None where never measured.
    """

    samples: Mapping[int, tuple[Observation, ...]] = field(default_factory=dict)
    times: Mapping[int, Curve] = field(default_factory=dict)
    memory: Curve | None = None
    load_ms: float | None = None

    @property
    def count(self) -> int:
        """Observations kept."""
        return sum(map(len, self.samples.values()))

    def extended(self, observations: Iterable[Observation], *, thread_mb: float) -> History:
        """This history with newer observations. Its times are those of before: see `undisturbed.followed`."""
        samples = dict(self.samples)
        newer: dict[int, list[Observation]] = {}
        for observation in observations:
            newer.setdefault(observation.lane_width, []).append(observation)
        for width, fresh in newer.items():
            samples[width] = _newest([*samples.pop(width, ()), *fresh])
        for width in list(samples)[:-MAX_WIDTHS]:
            del samples[width]
        return History(samples, self.times, _memory_curve(samples, thread_mb), _load_ms(samples))


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


def _load_ms(samples: Mapping[int, Sequence[Observation]]) -> float | None:
    measured = [each.load_time_ms for kept in samples.values() for each in kept if each.load_time_ms is not None]
    return statistics.median(measured) if measured else None


def _memory_curve(samples: Mapping[int, Sequence[Observation]], thread_mb: float) -> Curve | None:
    measured = [
        (each.batch_size, max(1.0, each.memory_mb - thread_mb * width))
        for width, observations in samples.items()
        for each in observations
        if each.memory_mb is not None
    ]
    return fit_curve(measured, fixed_share=_FIXED_MEMORY_SHARE) if measured else None
