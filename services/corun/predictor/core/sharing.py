"""Runs of one stage sharing cores, memory bandwidth or one device, finishing one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Concurrent runs beyond which another one only waits its turn instead of fighting for caches and bandwidth.
_CROWDED = 8
# A fair scheduler leaves a thread this part of a core at least; and other programs this part of all cores at most.
_LEAST_LEFT = 1 / 3
MOST_TAKEN = 0.7


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A run as the others feel it: its time alone in milliseconds, and the threads of its lane."""

    solo_ms: float
    lane_width: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs share.

    Attributes:
        core_count: Cores that lanes may use.
        contention: What each further run that has a core at the same time adds to the time of all (memory bandwidth,
            caches), as a share. Those that wait for one add nothing: two to six runs on two cores took 0.96 to 1.11
            times what sharing cores alone makes of them. On one device every run counts, up to a number.
        one_device: True where runs share one device, such as a GPU, instead of cores.
        taken: Cores that other programs take, 0 to `MOST_TAKEN` of them.
    """

    core_count: int
    contention: float
    one_device: bool = False
    taken: float = 0.0

    def stretch(self, lane_widths: Sequence[int]) -> float:
        """How many times slower than alone each run goes while lanes of these widths are busy, at least 1."""
        count = len(lane_widths)
        if self.one_device:
            return count * (1 + self.contention * (min(count, _CROWDED) - 1))
        # A lane wider than the machine was no faster alone, so it demands no more than there is.
        widths = [min(width, self.core_count) for width in lane_widths]
        waiting = max(1.0, sum(widths) / (self.core_count - self.taken))
        # Threads of a lane wait for each other, so it goes as slowly as the one that shares its core.
        shared = max(0.0, max(widths) - (self.core_count - self.taken))
        waiting = max(waiting, 1 / max(_LEAST_LEFT, 1 - shared))
        return waiting * (1 + self.contention * (max(1.0, count / waiting) - 1))


def finish_times(runs: Sequence[SharedRun], machine: Machine) -> list[float]:
    """When each run finishes, milliseconds after all started together, in the order given.

    Processor sharing (Kleinrock 1967): all runs are stretched alike, so they finish in the order of their solo
    times, and whenever one does the others speed up.
    """
    finished = [0.0] * len(runs)
    active = sorted(range(len(runs)), key=lambda index: runs[index].solo_ms)
    now, progress = 0.0, 0.0
    while active:
        first = active[0]
        now += (runs[first].solo_ms - progress) * machine.stretch([runs[index].lane_width for index in active])
        progress = runs[first].solo_ms
        finished[first] = now
        active.pop(0)
    return finished


def makespan(runs: Sequence[SharedRun], machine: Machine) -> float:
    """When the last run finishes, milliseconds; at least one run."""
    return max(finish_times(runs, machine))
