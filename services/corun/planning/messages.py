"""Plans as messages."""

from __future__ import annotations

from corun.planning.planner import Plan
from corun.v1 import core_pb2


def plan_message(plan: Plan) -> core_pb2.Plan:
    """The schedule."""
    stages = [
        core_pb2.Stage(
            runs=[
                core_pb2.PlannedRun(
                    model_name=run.model_name, batch_size=run.batch_size, lane=run.lane, members=run.members
                )
                for run in stage.runs
            ]
        )
        for stage in plan.stages
    ]
    strategy = core_pb2.Strategy.Value(f"STRATEGY_{plan.strategy.upper()}")
    return core_pb2.Plan(strategy=strategy, stages=stages, lane_widths=plan.lane_widths)
