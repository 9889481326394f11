"""Plans as they are kept: JSON that a person or a query can read."""

from __future__ import annotations

import json

from corun.v1 import core_pb2
from corun.validator.names import strategy_name, strategy_value


def plan_json(message: core_pb2.Plan) -> str:
    """Everything that the plan says."""
    stages = [
        [
            {"model_name": run.model_name, "batch_size": run.batch_size, "lane": run.lane, "members": list(run.members)}
            for run in stage.runs
        ]
        for stage in message.stages
    ]
    plan: dict[str, object] = {
        "strategy": strategy_name(message.strategy),
        "lane_widths": list(message.lane_widths),
        "stages": stages,
    }
    if message.HasField("replicas"):
        plan["replicas"] = message.replicas
    return json.dumps(plan)


def plan_message(kept: str) -> core_pb2.Plan:
    """The plan that `plan_json` kept."""
    plan = json.loads(kept)
    return core_pb2.Plan(
        strategy=strategy_value(plan["strategy"]),
        lane_widths=plan["lane_widths"],
        stages=[core_pb2.Stage(runs=[core_pb2.PlannedRun(**run) for run in stage]) for stage in plan["stages"]],
        replicas=plan.get("replicas"),
    )
