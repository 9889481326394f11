"""Plans, choices and objections that need no predictor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.configuration import Configuration, by_thresholds, objections
from corun.orchestrator.core.events import EventFilter
from corun.orchestrator.core.planning import PlannedModel, plain_plan
from corun.orchestrator.core.retention import Kept, outdated
from corun.orchestrator.core.terms import Strategy

MODELS = st.lists(
    st.builds(PlannedModel, st.sampled_from(["a", "b", "c"]), st.integers(1, 8), st.booleans()), min_size=1, max_size=12
)


@given(
    models=MODELS,
    strategy=st.sampled_from(Strategy),
    core_count=st.integers(1, 16),
    batching_size=st.integers(1, 6),
)
def test_every_model_is_served_once_in_a_lane_of_its_stage(
    models: list[PlannedModel], strategy: Strategy, core_count: int, batching_size: int
) -> None:
    plan = plain_plan(models, strategy, core_count=core_count, batching_size=batching_size)
    members = [member for stage in plan.stages for run in stage for member in run.members]
    assert sorted(members) == list(range(len(models)))
    for stage in plan.stages:
        lanes = [run.lane for run in stage]
        assert len(set(lanes)) == len(lanes)
        for run in stage:
            assert plan.lane_widths[run.lane] == max(1, core_count // len(stage))
            assert {models[member].model_name for member in run.members} == {run.model_name}
            assert run.batch_size == sum(models[member].batch_size for member in run.members)
            assert len(run.members) == 1 or all(models[member].mergeable for member in run.members)
    most = {Strategy.SEQUENTIAL: 1, Strategy.PARALLEL: len(models)}.get(strategy, batching_size)
    assert max(sum(len(run.members) for run in stage) for stage in plan.stages) <= most


def test_batched_merges_configs_of_one_model_in_a_group() -> None:
    models = [PlannedModel("a", 2, True), PlannedModel("a", 3, True), PlannedModel("b", 1, True)]
    plan = plain_plan(models, Strategy.BATCHED, core_count=4, batching_size=2)
    assert [[(run.model_name, run.batch_size, run.members) for run in stage] for stage in plan.stages] == [
        [("a", 5, (0, 1))],
        [("b", 1, (2,))],
    ]


BOUNDS = Configuration(batching_size=2, parallel_threshold=4, sequential_threshold=10, memory_threshold_mb=6000)


@pytest.mark.parametrize(
    ("strategy", "model_count", "memory_mb", "words"),
    [
        (Strategy.PARALLEL, 4, 6000.0, []),
        (Strategy.PARALLEL, 5, None, ["5 models are over the parallel threshold of 4"]),
        (Strategy.BATCHED, 10, None, []),
        (Strategy.BATCHED, 11, None, ["11 models are over the sequential threshold of 10"]),
        (Strategy.SEQUENTIAL, 64, 6001.0, ["6,001 MB are expected, over the memory threshold of 6,000 MB"]),
    ],
)
def test_objections_name_the_threshold(
    strategy: Strategy, model_count: int, memory_mb: float | None, words: list[str]
) -> None:
    assert objections(strategy, BOUNDS, model_count=model_count, memory_mb=memory_mb) == words


@pytest.mark.parametrize(
    ("model_count", "strategy"),
    [(1, Strategy.PARALLEL), (4, Strategy.PARALLEL), (5, Strategy.BATCHED), (11, Strategy.SEQUENTIAL)],
)
def test_thresholds_alone_choose(model_count: int, strategy: Strategy) -> None:
    assert by_thresholds(BOUNDS, model_count=model_count)[0] is strategy


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 100)), max_size=20), st.integers(0, 500))
def test_what_is_kept_fits_and_nothing_goes_before_what_is_older(ends: list[tuple[float, int]], room: int) -> None:
    kept = [Kept(str(number), end, size) for number, (end, size) in enumerate(ends)]
    gone = set(outdated(kept, now=1000.0, max_age_seconds=500.0, max_bytes=room))
    left = [each for each in kept if each.execution_id not in gone]
    assert sum(each.size_bytes for each in left) <= room
    assert all(1000.0 - each.end_time <= 500.0 for each in left)
    for each in kept:
        if each.execution_id in gone and 1000.0 - each.end_time <= 500.0:
            assert all(each.end_time <= one.end_time for one in left)


def test_only_repeated_events_are_bounded() -> None:
    events = EventFilter(limit=2)
    assert [events.passes(kind) for kind in ("run_started", "leased", "run_finished", "run_started", "measured")] == [
        True,
        True,
        True,
        False,
        True,
    ]
