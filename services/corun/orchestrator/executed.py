"""Measured executions as the predictor learns them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from math import isfinite

from corun.orchestrator.converters import other_programs_cores_of
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2


def engines_of(measurement: pool_pb2.Measurement) -> set[str]:
    """Every engine that ran a part of it."""
    return {run.engine or measurement.engine for run in measurement.runs} or {measurement.engine}


def executed_plan(plan: core_pb2.Plan, measurement: pool_pb2.Measurement) -> predictor_pb2.ExecutedPlan | None:
    """One execution, each run of the plan by its median over iterations; it ended now.

    None where it teaches nothing about one engine: its runs were spread over several, or its latency is no time.
    """
    latency, memory = measurement.performance.latency_ms, measurement.performance.memory_mb
    if len(engines_of(measurement)) > 1 or not _is_positive(latency):
        return None
    message = predictor_pb2.ExecutedPlan(
        plan=plan,
        latency_ms=latency,
        memory_mb=memory if _is_positive(memory) else None,
        runs=_median_runs(measurement.runs),
        other_programs_cores=other_programs_cores_of(measurement),
    )
    message.end_time.GetCurrentTime()
    return message


def executed_plan_of(record: validator_pb2.ExecutionRecord) -> predictor_pb2.ExecutedPlan | None:
    """The same of an execution on the validator's record, with its place and time.

    None where it teaches nothing about one engine, or its plan is not known. Where the record does not say which run of
    the plan a time belongs to, the message has no runs; where it does not say on what it ran, no environment.
    """
    engines = {run.engine or record.engine for run in record.runs}
    latency, memory = record.measured.latency_ms, record.measured.memory_mb
    if not record.HasField("plan") or len(engines) > 1 or not _is_positive(latency):
        return None
    placed = all(run.HasField("stage") and run.HasField("run") for run in record.runs)
    message = predictor_pb2.ExecutedPlan(
        plan=record.plan,
        latency_ms=latency,
        memory_mb=memory if _is_positive(memory) else None,
        runs=_median_runs(record.runs) if placed else [],
        end_time=record.end_time if record.HasField("end_time") else None,
    )
    engine = engines.pop() if engines else record.engine
    if engine and record.HasField("core_count"):
        message.environment.platform = record.platform
        message.environment.engine = engine
        message.environment.core_count = record.core_count
    return message


def _median_runs(
    runs: Iterable[pool_pb2.RunMeasurement | validator_pb2.RecordedRun],
) -> list[predictor_pb2.ExecutedRun]:
    """A run a place in the plan; none at all where a browser's coarse clock read one as 0."""
    times: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    one: dict[tuple[int, int], pool_pb2.RunMeasurement | validator_pb2.RecordedRun] = {}
    for run in runs:
        times[run.stage, run.run].append(run.run_time_ms)
        one[run.stage, run.run] = run
    medians = {position: statistics.median(measured) for position, measured in times.items()}
    if not all(map(_is_positive, medians.values())):
        return []
    return [
        predictor_pb2.ExecutedRun(
            model_name=one[position].model_name,
            batch_size=one[position].batch_size,
            lane_width=one[position].lane_width,
            concurrency=one[position].concurrency,
            stage=one[position].stage,
            run_time_ms=median,
        )
        for position, median in sorted(medians.items())
    ]


def _is_positive(figure: float) -> bool:
    return isfinite(figure) and figure > 0
