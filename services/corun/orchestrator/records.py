"""Executions as the validator keeps them."""

from __future__ import annotations

from corun.orchestrator.converters import figures_of, goal_message, recorded_performance, strategy_message
from corun.orchestrator.core.cautions import MAX_RECORDED_RUNS
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.outlook import Outlook
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2


def execution_record(
    *,
    execution_id: str,
    outlook: Outlook,
    goal: Goal,
    strategy: Strategy,
    strategy_chosen: bool,
    explored: bool = False,
    measurement: pool_pb2.Measurement,
    queue_time_ms: float,
) -> validator_pb2.ExecutionRecord:
    """The record of one execution that went well and ended just now; its first 100,000 runs one by one.

    `queue_time_ms` is what it waited before the pool was asked; the pool's own queue comes on top.
    """
    predicted = outlook.figures_of(strategy)
    record = validator_pb2.ExecutionRecord(
        execution_id=execution_id,
        workload=outlook.preparation.workload,
        platform=outlook.preparation.environment.platform,
        strategy=strategy_message(strategy),
        goal=goal_message(goal),
        strategy_chosen=strategy_chosen,
        explored=explored,
        engine=measurement.engine,
        adapter=measurement.adapter,
        plan=outlook.plan_of(strategy),
        predictor_version=outlook.predictor_version,
        predicted=None if predicted is None else recorded_performance(predicted),
        measured=recorded_performance(figures_of(measurement.performance)),
        runs=map(_recorded_run, measurement.runs[:MAX_RECORDED_RUNS]),
        queue_time_ms=queue_time_ms + measurement.queue_time_ms,
        load_time_ms=measurement.load_time_ms,
        core_count=outlook.preparation.environment.core_count or None,
    )
    record.end_time.GetCurrentTime()
    return record


def _recorded_run(run: pool_pb2.RunMeasurement) -> validator_pb2.RecordedRun:
    return validator_pb2.RecordedRun(
        model_name=run.model_name,
        batch_size=run.batch_size,
        lane_width=run.lane_width,
        concurrency=run.concurrency,
        run_time_ms=run.run_time_ms,
        stage=run.stage,
        run=run.run,
        iteration=run.iteration,
        replica=run.replica,
        engine=run.engine,
    )
