"""Plans keep their bounds and merge what can be merged, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.planning.planner import Plan, Strategy, make_plan
from corun.predictor.core.workload import ModelConfig, Workload

Make = Callable[..., Workload]


@pytest.fixture
def workload() -> Make:
    def made(*models: tuple[str, int]) -> Workload:
        return Workload(tuple(ModelConfig(name, batch_size) for name, batch_size in models))

    return made


def shape(plan: Plan) -> list[list[tuple[str, int, int, tuple[int, ...]]]]:
    return [[(run.model_name, run.batch_size, run.lane, run.members) for run in stage.runs] for stage in plan.stages]


def test_sequential_runs_one_model_after_another_in_one_lane_as_wide_as_the_machine(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("b", 2), ("a", 3)), Strategy.SEQUENTIAL, core_count=4, batching_size=2)
    assert plan.lane_widths == (4,)
    assert shape(plan) == [[("a", 1, 0, (0,))], [("b", 2, 0, (1,))], [("a", 3, 0, (2,))]]


def test_parallel_runs_all_models_at_once_in_lanes_that_divide_the_cores(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("b", 2), ("a", 3)), Strategy.PARALLEL, core_count=8, batching_size=2)
    assert plan.lane_widths == (2, 2, 2)
    assert shape(plan) == [[("a", 1, 0, (0,)), ("b", 2, 1, (1,)), ("a", 3, 2, (2,))]]


def test_more_models_than_cores_get_one_thread_each(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("b", 1), ("c", 1)), Strategy.PARALLEL, core_count=2, batching_size=2)
    assert plan.lane_widths == (1, 1, 1)


def test_batched_merges_runs_of_the_same_model_into_one_larger_batch(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("b", 2), ("a", 3), ("c", 1)), Strategy.BATCHED, core_count=2, batching_size=2)
    assert shape(plan) == [[("a", 4, 0, (0, 2))], [("b", 2, 1, (1,)), ("c", 1, 2, (3,))]]
    assert plan.lane_widths == (2, 1, 1)


def test_batched_does_not_merge_runs_of_a_graph_with_a_fixed_batch(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("a", 1)), Strategy.BATCHED, core_count=2, batching_size=2, fixed_batch={"a"})
    assert shape(plan) == [[("a", 1, 0, (0,)), ("a", 1, 1, (1,))]]


def test_batched_keeps_configs_of_one_model_in_one_group_where_they_fit(workload: Make) -> None:
    plan = make_plan(workload(("a", 1), ("b", 1), ("b", 1)), Strategy.BATCHED, core_count=2, batching_size=2)
    assert shape(plan) == [[("a", 1, 0, (0,))], [("b", 2, 0, (1, 2))]]


def test_batched_reuses_a_lane_of_the_right_width_that_holds_the_model(workload: Make) -> None:
    models = workload(("a", 1), ("b", 1), ("b", 1), ("a", 1))
    plan = make_plan(models, Strategy.BATCHED, core_count=2, batching_size=2, fixed_batch={"a", "b"})
    assert shape(plan) == [[("a", 1, 0, (0,)), ("b", 1, 1, (1,))], [("b", 1, 1, (2,)), ("a", 1, 0, (3,))]]
    assert plan.lane_widths == (1, 1)


def test_one_model_gets_the_same_schedule_from_every_strategy(workload: Make) -> None:
    plans = [make_plan(workload(("a", 4)), strategy, core_count=2, batching_size=2) for strategy in Strategy]
    assert len({(plan.stages, plan.lane_widths) for plan in plans}) == 1


def test_no_lane_is_wider_than_the_contract_allows(workload: Make) -> None:
    assert make_plan(workload(("a", 1)), Strategy.SEQUENTIAL, core_count=1024, batching_size=2).lane_widths == (64,)


configs = st.builds(ModelConfig, st.sampled_from("abcd"), st.integers(1, 1024))
workloads = st.builds(Workload, st.lists(configs, min_size=1, max_size=64).map(tuple))


@given(workloads, st.sampled_from(Strategy), st.integers(1, 128), st.integers(1, 64), st.sets(st.sampled_from("abcd")))
def test_every_plan_serves_every_config_once_and_keeps_the_bounds(
    workload: Workload, strategy: Strategy, core_count: int, batching_size: int, fixed_batch: set[str]
) -> None:
    plan = make_plan(workload, strategy, core_count=core_count, batching_size=batching_size, fixed_batch=fixed_batch)
    runs = [run for stage in plan.stages for run in stage.runs]
    assert sorted(member for run in runs for member in run.members) == list(range(len(workload.models)))
    assert {run.lane for run in runs} == set(range(len(plan.lane_widths)))
    assert len(plan.lane_widths) <= 64
    for run in runs:
        assert {workload.models[member].model_name for member in run.members} == {run.model_name}
        assert run.batch_size == sum(workload.models[member].batch_size for member in run.members)
        assert len(run.members) == 1 or run.model_name not in fixed_batch
    for stage in plan.stages:
        lanes = [run.lane for run in stage.runs]
        assert len(set(lanes)) == len(lanes)
        width = min(64, max(1, core_count // len(lanes)))
        assert {plan.lane_widths[lane] for lane in lanes} == {width}
        if strategy is Strategy.BATCHED:
            assert sum(len(run.members) for run in stage.runs) <= batching_size
