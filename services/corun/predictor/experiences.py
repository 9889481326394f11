"""Executions as plain values for JSON and back."""

from __future__ import annotations

import math
from typing import Any

from corun.planning.planner import Plan, PlannedRun, Stage
from corun.predictor.core.execution import ContentionReading, Experience, Surprise
from corun.predictor.core.workload import Strategy


def write_experience(experience: Experience) -> dict[str, Any]:
    """Lists and figures only."""
    memory = experience.memory
    return {
        "strategy": experience.plan.strategy.value,
        "stages": [
            [[run.model_name, run.batch_size, run.lane, list(run.members)] for run in stage.runs]
            for stage in experience.plan.stages
        ],
        "lane_widths": list(experience.plan.lane_widths),
        "core_count": experience.core_count,
        "latency_ms": experience.latency_ms,
        "memory_mb": experience.memory_mb,
        "end_time": experience.end_time,
        "latency": [experience.latency.log_ratio, experience.latency.log_sigma],
        "memory": None if memory is None else [memory.log_ratio, memory.log_sigma],
        "contentions": [[each.contention, each.weight] for each in experience.contentions],
        "stages_ms": list(experience.stages_ms),
        "dispatch_ms": experience.dispatch_ms,
        "moment": experience.moment,
        "other_programs_cores": experience.other_programs_cores,
    }


def read_experience(fields: dict[str, Any]) -> Experience:
    """The experience that was written.

    Raises:
        ValueError, TypeError, KeyError: for anything that `write_experience` would not have written.
    """
    plan = _plan(fields)
    _check(fields["latency_ms"], fields["core_count"], *plan.lane_widths, least=0)
    # Journals of before conditions were told apart have neither.
    stages_ms, moment = tuple(map(float, fields.get("stages_ms", ()))), int(fields.get("moment", 0))
    _check(*stages_ms, least=0)
    if len(stages_ms) not in (0, len(plan.stages)) or moment < 0:
        raise ValueError(f"{len(stages_ms)} times of {len(plan.stages)} stages at moment {moment}")
    _check(fields["end_time"], *(value for pair in fields["contentions"] for value in pair))
    return Experience(
        plan=plan,
        core_count=int(fields["core_count"]),
        latency_ms=float(fields["latency_ms"]),
        memory_mb=_optional(fields["memory_mb"], least=0),
        end_time=float(fields["end_time"]),
        latency=_surprise(*fields["latency"]),
        memory=None if fields["memory"] is None else _surprise(*fields["memory"]),
        contentions=tuple(ContentionReading(float(value), float(weight)) for value, weight in fields["contentions"]),
        stages_ms=stages_ms,
        dispatch_ms=_optional(fields["dispatch_ms"]),
        moment=moment,
        other_programs_cores=_optional(fields.get("other_programs_cores")),
    )


def _plan(fields: dict[str, Any]) -> Plan:
    stages = tuple(
        Stage(
            tuple(PlannedRun(str(name), int(batch), int(lane), tuple(members)) for name, batch, lane, members in runs)
        )
        for runs in fields["stages"]
    )
    widths = tuple(map(int, fields["lane_widths"]))
    if not stages or not all(stage.runs for stage in stages):
        raise ValueError("a plan without runs")
    for stage in stages:
        for run in stage.runs:
            if not (0 <= run.lane < len(widths) and run.batch_size > 0):
                raise ValueError(f"a run out of range: {run}")
    return Plan(Strategy(fields["strategy"]), stages, widths)


def _surprise(log_ratio: float, log_sigma: float) -> Surprise:
    _check(log_ratio)
    _check(log_sigma, least=0)
    return Surprise(float(log_ratio), float(log_sigma))


def _optional(figure: float | None, *, least: float = -math.inf) -> float | None:
    if figure is None:
        return None
    _check(figure, least=least)
    return float(figure)


def _check(*figures: float, least: float = -math.inf) -> None:
    if not all(math.isfinite(each) and each > least for each in figures):
        raise ValueError(f"figures out of range: {figures}")
