"""Records of the validation dataset: from messages to plain dicts."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client.conversion.figures import known_errors, moment_of
from corun_client.conversion.names import goal_name, platform_name, platform_of, strategy_name, strategy_of
from corun_client.conversion.numbers import whole_number
from corun_client.errors import InvalidArgument


class DatasetModel(TypedDict):
    """One model of a workload. `model_type` is "" where it was left to the model."""

    model_name: str
    model_type: str
    batch_size: int


class DatasetPlannedRun(TypedDict):
    """One run of a plan; `members` are indexes into the models that it serves."""

    model_name: str
    batch_size: int
    lane: int
    members: list[int]


class DatasetPlan(TypedDict):
    """The schedule: stages one after another, the runs of a stage at the same time."""

    execution_strategy: str
    lane_widths: list[int]
    replicas: int | None
    stages: list[list[DatasetPlannedRun]]


class DatasetRun(TypedDict):
    """One measured run; its place in the plan is None where it was not told."""

    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    run_time_ms: float
    stage: int | None
    run: int | None
    iteration: int | None
    replica: int | None
    engine: str


class DatasetRecord(TypedDict):
    """Everything on record of one execution; None where it was not told or cannot be known.

    Latencies and times in milliseconds, throughput in items per second, memory in megabytes (10^6 bytes); errors are
    abs(predicted - actual) / actual, bias the same with its sign.
    """

    execution_id: str
    end_time: datetime
    hardware_platform: str
    execution_strategy: str
    optimization_goal: str
    strategy_automatic: bool
    strategy_explored: bool
    engine: str
    adapter: str
    core_count: int | None
    models: list[DatasetModel]
    model_count: int
    iterations: int
    plan: DatasetPlan | None
    predictor_version: str
    predicted_latency: float | None
    predicted_throughput: float | None
    predicted_memory: float | None
    actual_latency: float
    actual_throughput: float
    actual_memory: float
    validated: bool
    latency_error: float | None
    throughput_error: float | None
    memory_error: float | None
    latency_bias: float | None
    throughput_bias: float | None
    memory_bias: float | None
    queue_time_ms: float
    load_time_ms: float
    runs: list[DatasetRun]


def dataset_request(
    *,
    platform: object,
    strategy: object,
    engine: str | None,
    after_time: datetime | None,
    max_records: int | None,
    include_unvalidated: bool,
) -> validator_pb2.GenerateValidationDatasetRequest:
    """Request of GenerateValidationDataset. Raises InvalidArgument for a time without a zone, or unknown names."""
    request = validator_pb2.GenerateValidationDatasetRequest(
        strategy=strategy_of(strategy, parameter="execution_strategy"),
        engine=engine or "",
        with_unvalidated=include_unvalidated,
    )
    if platform is not None:
        request.platform = platform_of(platform, parameter="hardware_platform")
    if after_time is not None:
        if not isinstance(after_time, datetime) or after_time.tzinfo is None:
            raise InvalidArgument.of("after_time", f"expected a datetime with a time zone; received {after_time!r}")
        request.after_time.FromDatetime(after_time)
    if max_records is not None:
        request.max_record_count = whole_number(max_records, parameter="max_records")
    return request


def dataset_record(answer: validator_pb2.GenerateValidationDatasetResponse) -> DatasetRecord:
    """The record that a message holds."""
    execution = answer.record.execution
    errors, bias = known_errors(answer.record.errors), known_errors(answer.record.bias)
    predicted = execution.predicted if execution.HasField("predicted") else None
    return {
        "execution_id": execution.execution_id,
        "end_time": moment_of(execution.end_time),
        "hardware_platform": platform_name(execution.platform),
        "execution_strategy": strategy_name(execution.strategy),
        "optimization_goal": goal_name(execution.goal),
        "strategy_automatic": execution.strategy_chosen,
        "strategy_explored": execution.explored,
        "engine": execution.engine,
        "adapter": execution.adapter,
        "core_count": execution.core_count if execution.HasField("core_count") else None,
        "models": [_model(model) for model in execution.workload.models],
        "model_count": len(execution.workload.models),
        "iterations": execution.workload.iterations,
        "plan": _plan(execution.plan) if execution.HasField("plan") else None,
        "predictor_version": execution.predictor_version,
        "predicted_latency": predicted.latency_ms if predicted else None,
        "predicted_throughput": predicted.throughput_items_per_second if predicted else None,
        "predicted_memory": predicted.memory_mb if predicted else None,
        "actual_latency": execution.measured.latency_ms,
        "actual_throughput": execution.measured.throughput_items_per_second,
        "actual_memory": execution.measured.memory_mb,
        "validated": answer.record.validated,
        "latency_error": errors.get("latency"),
        "throughput_error": errors.get("throughput"),
        "memory_error": errors.get("memory"),
        "latency_bias": bias.get("latency"),
        "throughput_bias": bias.get("throughput"),
        "memory_bias": bias.get("memory"),
        "queue_time_ms": execution.queue_time_ms,
        "load_time_ms": execution.load_time_ms,
        "runs": [_run(run, execution.engine) for run in execution.runs],
    }


def _model(model: core_pb2.ModelConfig) -> DatasetModel:
    return {"model_name": model.model_name, "model_type": model.model_type, "batch_size": model.batch_size}


def _plan(plan: core_pb2.Plan) -> DatasetPlan:
    return {
        "execution_strategy": strategy_name(plan.strategy),
        "lane_widths": list(plan.lane_widths),
        "replicas": plan.replicas if plan.HasField("replicas") else None,
        "stages": [
            [
                {
                    "model_name": run.model_name,
                    "batch_size": run.batch_size,
                    "lane": run.lane,
                    "members": list(run.members),
                }
                for run in stage.runs
            ]
            for stage in plan.stages
        ],
    }


def _run(run: validator_pb2.RecordedRun, engine: str) -> DatasetRun:
    return {
        "model_name": run.model_name,
        "batch_size": run.batch_size,
        "lane_width": run.lane_width,
        "concurrency": run.concurrency,
        "run_time_ms": run.run_time_ms,
        "stage": run.stage if run.HasField("stage") else None,
        "run": run.run if run.HasField("run") else None,
        "iteration": run.iteration if run.HasField("iteration") else None,
        "replica": run.replica if run.HasField("replica") else None,
        "engine": run.engine or engine,
    }
