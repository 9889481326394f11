"""What the pool accepts as a plan, and what it reads from it."""

from __future__ import annotations

import pytest

from corun.errors import InvalidField
from corun.resource_pool.core.plan import LaneNeed, Plan, PlannedRun, check_plan


def test_lane_needs_gather_the_models_of_all_stages() -> None:
    plan = Plan(((PlannedRun("a", 1, 0),), (PlannedRun("b", 2, 0), PlannedRun("a", 1, 1))), (2, 1))
    assert plan.lane_needs() == (LaneNeed(2, frozenset({"a", "b"})), LaneNeed(1, frozenset({"a"})))
    assert plan.item_count == 4


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
