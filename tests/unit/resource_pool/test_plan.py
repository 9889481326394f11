"""What the pool accepts as a plan, what it reads from it, and how it gives it to several engines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.errors import InvalidField
from corun.resource_pool.core.plan import EnginePlan, LaneNeed, Plan, PlannedRun, check_plan, split_by_engine


def test_lane_needs_gather_the_models_of_all_stages() -> None:
    plan = Plan(((PlannedRun("a", 1, 0),), (PlannedRun("b", 2, 0), PlannedRun("a", 1, 1))), (2, 1))
    assert plan.lane_needs() == (LaneNeed(2, frozenset({"a", "b"})), LaneNeed(1, frozenset({"a"})))
    assert plan.item_count == 4


def test_the_shapes_of_a_lane_are_those_of_its_runs_or_any_where_a_run_has_inputs_of_its_own() -> None:
    runs = (PlannedRun("a", 4, 0),), (PlannedRun("b", 1, 1),), (PlannedRun("a", 2, 0),)
    plan = Plan(runs, (2, 1))
    first, second = plan.lane_needs({(0, 0): {"a:4"}, (1, 0): None, (2, 0): {"a:2"}})
    assert first.shapes == frozenset({"a:4", "a:2"})
    assert second.shapes is None


def test_replicas_are_copies_of_the_lanes_and_no_further_items() -> None:
    plan = Plan(((PlannedRun("a", 3, 0),),), (1,), replicas=4)
    assert plan.item_count == 3
    assert len(plan.lane_needs()) == 1


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (Plan(((PlannedRun("a", 1, 1),),), (1,)), "plan.stages[0].runs[0].lane"),
        (Plan(((PlannedRun("a", 1, 0), PlannedRun("b", 1, 0)),), (1,)), "plan.stages[0].runs[1].lane"),
        (Plan(((PlannedRun("a", 1, 0),),), (3,)), "plan.lane_widths[0]"),
        (Plan(((PlannedRun("a", 1, 0),),), (1, 1)), "plan.lane_widths[1]"),
    ],
    ids=["lane without width", "two runs in one lane", "wider than the machine", "lane without runs"],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_by_field(plan: Plan, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check_plan(plan, core_count=2)
    assert caught.value.field == field


def test_a_plan_of_one_engine_stays_as_it_is() -> None:
    plan = Plan(((PlannedRun("a", 1, 0, (0,)), PlannedRun("b", 1, 1, (1,))),), (2, 1), replicas=3)
    assert split_by_engine(plan, {"a": "x", "b": "x"}) == EnginePlan(plan, ("x", "x"), (0, 1))


def test_a_lane_whose_models_prefer_different_engines_becomes_one_part_an_engine() -> None:
    stages = ((PlannedRun("a", 1, 0, (0,)),), (PlannedRun("b", 2, 0, (1,)),), (PlannedRun("a", 3, 0, (2,)),))
    split = split_by_engine(Plan(stages, (2,)), {"a": "x", "b": "y"})
    assert split.engines == ("x", "y")
    assert split.lane_numbers == (0, 0)
    assert split.plan.lane_widths == (2, 2)
    assert [[run.lane for run in stage] for stage in split.plan.stages] == [[0], [1], [0]]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    widths = draw(st.lists(st.integers(1, 2), min_size=1, max_size=4))
    stages = []
    for _ in range(draw(st.integers(1, 4))):
        lanes = draw(st.lists(st.integers(0, len(widths) - 1), min_size=1, unique=True))
        stages.append(tuple(PlannedRun(draw(st.sampled_from("abc")), draw(st.integers(1, 9)), lane) for lane in lanes))
    return Plan(tuple(stages), tuple(widths), draw(st.integers(1, 3)))


@given(plans(), st.fixed_dictionaries({name: st.sampled_from("xyz") for name in "abc"}))
def test_a_split_plan_runs_the_same_models_in_the_same_order_each_lane_in_one_engine(
    plan: Plan, engine_of: dict[str, str]
) -> None:
    split = split_by_engine(plan, engine_of)
    assert split.plan.replicas == plan.replicas
    assert len(split.engines) == len(split.lane_numbers) == len(split.plan.lane_widths)
    for stage, asked in zip(split.plan.stages, plan.stages, strict=True):
        assert [(run.model_name, run.batch_size) for run in stage] == [(r.model_name, r.batch_size) for r in asked]
        assert len({run.lane for run in stage}) == len(stage)
        for run, original in zip(stage, asked, strict=True):
            assert split.engines[run.lane] == engine_of[run.model_name]
            assert split.lane_numbers[run.lane] == original.lane
            assert split.plan.lane_widths[run.lane] == plan.lane_widths[original.lane]
    assert all(need.model_names for need in split.plan.lane_needs())
