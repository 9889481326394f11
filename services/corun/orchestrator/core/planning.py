"""Plans made without the predictor, for when it does not answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from corun.orchestrator.core.terms import Strategy

MAX_LANE_WIDTH = 64


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model of the workload; `mergeable` when its graph takes batches of any size."""

    model_name: str
    batch_size: int
    mergeable: bool


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One inference in a lane, for the models of the workload at the indexes `members`."""

    model_name: str
    batch_size: int
    lane: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlainPlan:
    """Stages one after another; the threads of each lane."""

    stages: tuple[tuple[PlannedRun, ...], ...]
    lane_widths: tuple[int, ...]


def plain_plan(models: Sequence[PlannedModel], strategy: Strategy, *, core_count: int, batching_size: int) -> PlainPlan:
    """Sequential: one wide lane. Parallel: a lane a model. Batched: groups of at most `batching_size` models in the
    workload's order, configs of one model merged where they are in one group. A stage of k runs gives each
    `max(1, core_count // k)` threads; stages of one size share their lanes."""
    size = {Strategy.SEQUENTIAL: 1, Strategy.PARALLEL: len(models)}.get(strategy, batching_size)
    groups = [range(start, min(start + size, len(models))) for start in range(0, len(models), size)]
    merged = [_merged(models, group, merge=strategy is Strategy.BATCHED) for group in groups]
    first_lane: dict[int, int] = {}
    widths: list[int] = []
    stages = []
    for bundles in merged:
        count = len(bundles)
        if count not in first_lane:
            first_lane[count] = len(widths)
            widths += [min(MAX_LANE_WIDTH, max(1, core_count // count))] * count
        stages.append(
            tuple(
                PlannedRun(
                    models[members[0]].model_name,
                    sum(models[index].batch_size for index in members),
                    first_lane[count] + position,
                    members,
                )
                for position, members in enumerate(bundles)
            )
        )
    return PlainPlan(tuple(stages), tuple(widths))


def _merged(models: Sequence[PlannedModel], group: range, *, merge: bool) -> list[tuple[int, ...]]:
    bundles: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index in group:
        alone = not (merge and models[index].mergeable)
        bundles[models[index].model_name, index if alone else -1].append(index)
    return [tuple(members) for members in bundles.values()]
