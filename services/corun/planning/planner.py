"""The concrete schedule of a workload under a strategy: stages, and the lanes that their runs go to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_LANE_WIDTH = 64


class Strategy(StrEnum):
    """How the models of a workload are scheduled against each other."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"
    BATCHED = "batched"


class Model(Protocol):
    """One model of a workload, and how many items it gets in one run."""

    @property
    def model_name(self) -> str:
        """Unique among models."""

    @property
    def batch_size(self) -> int:
        """At least 1."""


class Workload(Protocol):
    """What is to be run together: the predictor's own, or a message."""

    @property
    def models(self) -> Sequence[Model]:
        """The same model may appear more than once."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One inference. `members` are the indexes of the workload's models that it serves, ascending."""

    model_name: str
    batch_size: int
    lane: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Runs that are dispatched at the same time, each in a lane of its own."""

    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages one after another; `lane_widths` are the threads of each lane, by lane number."""

    strategy: Strategy
    stages: tuple[Stage, ...]
    lane_widths: tuple[int, ...]


def make_plan(
    workload: Workload,
    strategy: Strategy,
    *,
    core_count: int,
    batching_size: int,
    fixed_batch: Collection[str] = (),
) -> Plan:
    """The plan that carries out `strategy`; the same arguments always give the same plan.

    Args:
        workload: At least one model.
        strategy: Decides the grouping: one model a stage, all in one, or at most `batching_size` a stage.
        core_count: Cores that lanes may use; a stage of k runs gives each `max(1, core_count // k)` threads.
        batching_size: Most models in a stage of the batched strategy.
        fixed_batch: Names of models whose graph takes one batch size only: their runs are never merged.
    """
    if strategy is Strategy.SEQUENTIAL:
        grouped: list[list[tuple[int, ...]]] = [[(index,)] for index in range(len(workload.models))]
    elif strategy is Strategy.PARALLEL:
        grouped = [[(index,) for index in range(len(workload.models))]]
    else:
        grouped = _groups(workload, batching_size, fixed_batch)
    lanes = _Lanes()
    stages = []
    for group in grouped:
        width = min(MAX_LANE_WIDTH, max(1, core_count // len(group)))
        names = [workload.models[members[0]].model_name for members in group]
        numbers = lanes.assign(names, width)
        runs = [
            PlannedRun(name, sum(workload.models[index].batch_size for index in members), lane, members)
            for name, lane, members in zip(names, numbers, group, strict=True)
        ]
        stages.append(Stage(tuple(runs)))
    return Plan(strategy, tuple(stages), tuple(lanes.widths))


def _groups(workload: Workload, batching_size: int, fixed_batch: Collection[str]) -> list[list[tuple[int, ...]]]:
    """First-fit of the bundles that can be merged, so that configs of one model meet where they can."""
    groups: list[list[tuple[int, ...]]] = []
    for bundle in _bundles(workload, batching_size, fixed_batch):
        for group in groups:
            if sum(map(len, group)) + len(bundle) <= batching_size:
                group.append(bundle)
                break
        else:
            groups.append([bundle])
    for group in groups:
        group.sort()
    return sorted(groups)


def _bundles(workload: Workload, batching_size: int, fixed_batch: Collection[str]) -> list[tuple[int, ...]]:
    by_name: dict[str, list[int]] = {}
    for index, model in enumerate(workload.models):
        by_name.setdefault(model.model_name, []).append(index)
    bundles = []
    for name, indexes in by_name.items():
        size = 1 if name in fixed_batch else batching_size
        bundles += [tuple(indexes[start : start + size]) for start in range(0, len(indexes), size)]
    return sorted(bundles)


class _Lanes:
    """Lanes made so far. A lane keeps its width for the whole plan, so it serves only stages of that width."""

    def __init__(self) -> None:
        self.widths: list[int] = []
        self._held: list[set[str]] = []

    def assign(self, names: Sequence[str], width: int) -> list[int]:
        """A lane for each name: one that holds the model already, else any free one, else a new one."""
        free = [lane for lane, each in enumerate(self.widths) if each == width]
        chosen: dict[int, int] = {}
        for position, name in enumerate(names):
            holder = next((lane for lane in free if name in self._held[lane]), None)
            if holder is not None:
                chosen[position] = holder
                free.remove(holder)
        for position, name in enumerate(names):
            if position not in chosen:
                chosen[position] = free.pop(0) if free else self._new(width)
            self._held[chosen[position]].add(name)
        return [chosen[position] for position in range(len(names))]

    def _new(self, width: int) -> int:
        self.widths.append(width)
        self._held.append(set())
        return len(self.widths) - 1
