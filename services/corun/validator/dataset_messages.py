"""Queries of the dataset from messages, and its records to messages."""

from __future__ import annotations

from datetime import UTC

from corun.errors import InvalidField
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as pb
from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validation.messages import performance_message, rates_message, signed_message
from corun.validator.core.dataset import DatasetQuery, ExecutionOnRecord
from corun.validator.core.records import Execution, Run, Workload
from corun.validator.names import goal_value, platform_value, strategy_name, strategy_value
from corun.validator.plans import plan_message

# As many as RefineModel takes.
_DEFAULT_COUNT = 20_000


def to_query(message: pb.GenerateValidationDatasetRequest) -> DatasetQuery:
    """The query that a message holds.

    Raises:
        InvalidField: when its time is out of range.
    """
    try:
        after = message.after_time.ToDatetime(tzinfo=UTC) if message.HasField("after_time") else None
    except ValueError as error:
        raise InvalidField("after_time", str(error)) from error
    return DatasetQuery(
        platform=platform_name(message.platform) if message.platform else None,
        strategy=strategy_name(message.strategy) if message.strategy else None,
        engine=message.engine or None,
        after_time=after,
        max_record_count=message.max_record_count if message.HasField("max_record_count") else _DEFAULT_COUNT,
        with_unvalidated=message.with_unvalidated,
    )


def record_message(record: ExecutionOnRecord) -> pb.ValidationRecord:
    """All that is on record, as it was told."""
    return pb.ValidationRecord(
        execution=_execution_message(record.execution),
        validated=record.errors is not None,
        errors=rates_message(record.errors or ErrorRates()),
        bias=signed_message(record.bias or SignedErrors()),
    )


def _execution_message(execution: Execution) -> pb.ExecutionRecord:
    message = pb.ExecutionRecord(
        execution_id=execution.execution_id,
        workload=_workload_message(execution.workload),
        platform=platform_value(execution.platform),
        strategy=strategy_value(execution.strategy),
        goal=goal_value(execution.goal),
        strategy_chosen=execution.strategy_chosen,
        engine=execution.engine,
        adapter=execution.adapter,
        plan=None if execution.plan_json is None else plan_message(execution.plan_json),
        predictor_version=execution.predictor_version,
        predicted=None if execution.predicted is None else performance_message(execution.predicted),
        measured=performance_message(execution.measured),
        runs=map(_run_message, execution.runs),
        queue_time_ms=execution.queue_time_ms,
        load_time_ms=execution.load_time_ms,
        core_count=execution.core_count,
        explored=execution.explored,
    )
    if execution.end_time is not None:
        message.end_time.FromDatetime(execution.end_time)
    return message


def _workload_message(workload: Workload) -> core_pb2.Workload:
    models = [
        core_pb2.ModelConfig(model_name=model.model_name, model_type=model.model_type, batch_size=model.batch_size)
        for model in workload.models
    ]
    return core_pb2.Workload(models=models, iterations=workload.iterations)


def _run_message(run: Run) -> pb.RecordedRun:
    return pb.RecordedRun(
        model_name=run.model_name,
        batch_size=run.batch_size,
        lane_width=run.lane_width,
        concurrency=run.concurrency,
        run_time_ms=run.run_time_ms,
        stage=run.stage,
        run=run.run,
        iteration=run.iteration,
        replica=run.replica,
        engine=run.engine or "",
    )
