"""Messages to records, and answers to messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from corun.errors import InvalidField
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as pb
from corun.validator.core.error_rates import ErrorRates
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact
from corun.validator.core.records import Comparison, Execution, Model, Performance, Run, Workload
from corun.validator.recordings import Recorded, Recording
from corun.validator.storage_state import Incident
from corun.validator.store import StorageStatus


def strategy_name(value: core_pb2.Strategy.ValueType) -> str:
    """The guide's name, for example "parallel"."""
    return core_pb2.Strategy.Name(value).removeprefix("STRATEGY_").lower()


def goal_name(value: core_pb2.OptimizationGoal.ValueType) -> str:
    """The guide's name; one that was not given is "latency"."""
    given = value or core_pb2.OPTIMIZATION_GOAL_LATENCY
    return core_pb2.OptimizationGoal.Name(given).removeprefix("OPTIMIZATION_GOAL_").lower()


def to_execution(message: pb.ExecutionRecord) -> Execution:
    """The record that a message holds.

    Raises:
        InvalidField: when a time is out of range or a count is negative.
    """
    return Execution(
        execution_id=message.execution_id,
        end_time=_end_time(message),
        workload=_workload(message.workload),
        platform=platform_name(message.platform),
        strategy=strategy_name(message.strategy),
        goal=goal_name(message.goal),
        strategy_chosen=message.strategy_chosen,
        engine=message.engine,
        adapter=message.adapter,
        plan_json=_plan_json(message.plan) if message.HasField("plan") else None,
        predictor_version=message.predictor_version,
        predicted=to_performance(message.predicted) if message.HasField("predicted") else None,
        measured=to_performance(message.measured),
        runs=tuple(_run(index, run) for index, run in enumerate(message.runs)),
        queue_time_ms=_positive_zero(message.queue_time_ms),
        load_time_ms=_positive_zero(message.load_time_ms),
    )


def to_comparison(message: pb.RecordOptimizationImpactRequest) -> Comparison:
    """The comparison that a message holds.

    Raises:
        InvalidField: when a strategy is given twice, or the best one is not among those measured.
    """
    outcomes: dict[str, Performance] = {}
    for index, outcome in enumerate(message.outcomes):
        name = strategy_name(outcome.strategy)
        if name in outcomes:
            raise InvalidField(f"outcomes[{index}].strategy", f"{name!r} is given twice")
        outcomes[name] = to_performance(outcome.measured)
    best = strategy_name(message.best)
    if best not in outcomes:
        raise InvalidField("best", f"{best!r} is not among the outcomes; given: {', '.join(outcomes)}")
    return Comparison(
        comparison_id=message.comparison_id,
        workload=_workload(message.workload),
        platform=platform_name(message.platform),
        goal=goal_name(message.goal),
        recommended=strategy_name(message.recommended),
        best=best,
        recommendation_correct=message.recommendation_correct,
        improvement_percent=_positive_zero(message.improvement_percent),
        outcomes=outcomes,
    )


def to_performance(message: pb.RecordedPerformance) -> Performance:
    """Figures in the units of the message."""
    return Performance(
        latency_ms=message.latency_ms,
        throughput_items_per_second=message.throughput_items_per_second,
        memory_mb=_positive_zero(message.memory_mb),
    )


def rates_message(rates: ErrorRates) -> pb.ErrorRates:
    """Errors; one that is None is absent."""
    return pb.ErrorRates(latency=rates.latency, throughput=rates.throughput, memory=rates.memory)


def metrics_message(metrics: Metrics, *, error_threshold: float, database_path: str) -> pb.GetValidationMetricsResponse:
    """The whole answer of GetValidationMetrics."""
    return pb.GetValidationMetricsResponse(
        validation_count=metrics.overall.validation_count,
        execution_count=metrics.execution_count,
        overall=_summary_message(metrics.overall),
        by_platform={name: _summary_message(summary) for name, summary in metrics.by_platform.items()},
        by_strategy={name: _summary_message(summary) for name, summary in metrics.by_strategy.items()},
        optimization_impact=_impact_message(metrics.impact),
        error_threshold=error_threshold,
        database_path=database_path,
    )


def to_recordings(request: pb.RecordExecutionsRequest) -> list[Recording]:
    """The executions that a request holds, with their predictions where they are to be validated.

    Raises:
        InvalidField: names the place in the request of what breaks a rule.
    """
    recordings = []
    for index, message in enumerate(request.executions):
        try:
            execution = to_execution(message)
        except InvalidField as error:
            field = error.field.removeprefix("execution.")
            raise InvalidField(f"executions[{index}].{field}", error.problem) from error
        recordings.append(Recording(execution, execution.predicted if request.validate else None))
    return recordings


def recorded_message(
    recordings: Sequence[Recording], outcomes: Sequence[Recorded], execution_count: int
) -> pb.RecordExecutionsResponse:
    """What became of many executions."""
    refused = [
        pb.RefusedExecution(
            index=index,
            execution_id=recording.execution.execution_id,
            reason=outcome.refusal.reason,
            message=outcome.refusal.message,
        )
        for index, (recording, outcome) in enumerate(zip(recordings, outcomes, strict=True))
        if outcome.refusal is not None
    ]
    new = sum(outcome.newly_recorded for outcome in outcomes)
    return pb.RecordExecutionsResponse(
        newly_recorded_count=new,
        known_count=len(outcomes) - new - len(refused),
        refused=refused,
        execution_count=execution_count,
    )


def storage_message(status: StorageStatus, *, path: str) -> pb.GetStorageStatusResponse:
    """Size and wholeness of the record."""
    return pb.GetStorageStatusResponse(
        database_path=path,
        size_bytes=status.size_bytes,
        row_counts=status.row_counts,
        degraded=status.degraded,
        incidents=[_incident_message(incident) for incident in status.incidents],
    )


def _incident_message(incident: Incident) -> pb.StorageIncident:
    message = pb.StorageIncident(
        description=incident.loss.description,
        missing_row_counts=dict(incident.loss.missing_row_counts),
        kept_file=incident.kept_file,
    )
    message.detected_time.FromDatetime(incident.detected_time)
    return message


def _end_time(message: pb.ExecutionRecord) -> datetime | None:
    if not message.HasField("end_time"):
        return None
    try:
        return message.end_time.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise InvalidField("execution.end_time", str(error)) from error


def _workload(message: core_pb2.Workload) -> Workload:
    models = tuple(Model(model.model_name, model.model_type, model.batch_size) for model in message.models)
    return Workload(models, message.iterations if message.HasField("iterations") else 1)


def _run(index: int, message: pb.RecordedRun) -> Run:
    for name in ("batch_size", "lane_width", "concurrency"):
        if getattr(message, name) < 0:
            raise InvalidField(
                f"execution.runs[{index}].{name}", f"must not be negative; received {getattr(message, name)}"
            )
    return Run(
        model_name=message.model_name,
        batch_size=message.batch_size,
        lane_width=message.lane_width,
        concurrency=message.concurrency,
        run_time_ms=_positive_zero(message.run_time_ms),
    )


def _plan_json(message: core_pb2.Plan) -> str:
    stages = [
        [
            {"model_name": run.model_name, "batch_size": run.batch_size, "lane": run.lane, "members": list(run.members)}
            for run in stage.runs
        ]
        for stage in message.stages
    ]
    strategy = strategy_name(message.strategy)
    return json.dumps({"strategy": strategy, "lane_widths": list(message.lane_widths), "stages": stages})


def _summary_message(summary: ErrorSummary) -> pb.ErrorSummary:
    return pb.ErrorSummary(
        validation_count=summary.validation_count,
        average=rates_message(summary.average),
        recent=rates_message(summary.recent),
    )


def _impact_message(impact: OptimizationImpact) -> pb.OptimizationImpact:
    return pb.OptimizationImpact(
        comparison_count=impact.comparison_count,
        average_improvement_percent=impact.average_improvement_percent,
        recommendation_accuracy=impact.recommendation_accuracy,
        best_strategy_counts=impact.best_strategy_counts,
    )


def _positive_zero(value: float) -> float:
    return value + 0.0  # -0.0 is allowed on the wire and would make a repetition look different
