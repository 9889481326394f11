"""Messages to executions and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from corun.errors import InvalidField
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as pb
from corun.validator.core.records import Comparison, Execution, Model, Performance, Run, Workload
from corun.validator.names import goal_name, strategy_name
from corun.validator.plans import plan_json
from corun.validator.recordings import Recorded, Recording
from corun.validator.storage_state import Incident
from corun.validator.store import StorageStatus


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
        plan_json=plan_json(message.plan) if message.HasField("plan") else None,
        predictor_version=message.predictor_version,
        predicted=to_performance(message.predicted) if message.HasField("predicted") else None,
        measured=to_performance(message.measured),
        runs=tuple(_run(index, run) for index, run in enumerate(message.runs)),
        queue_time_ms=_positive_zero(message.queue_time_ms),
        load_time_ms=_positive_zero(message.load_time_ms),
        core_count=message.core_count if message.HasField("core_count") else None,
        explored=message.explored,
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
        stage=message.stage if message.HasField("stage") else None,
        run=message.run if message.HasField("run") else None,
        iteration=message.iteration if message.HasField("iteration") else None,
        replica=message.replica if message.HasField("replica") else None,
        engine=message.engine or None,
    )


def _positive_zero(value: float) -> float:
    return value + 0.0  # -0.0 is allowed on the wire and would make a repetition look different
