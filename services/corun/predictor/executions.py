"""Messages about what was measured to the predictor's values."""

from __future__ import annotations

from collections.abc import Sequence

from corun.planning.planner import Plan, PlannedRun, Stage
from corun.predictor import converters
from corun.predictor.core.execution import ExecutedRun, Execution
from corun.predictor.core.learning import Report
from corun.predictor.core.workload import Environment, Strategy
from corun.v1 import core_pb2, predictor_service_pb2


def report_of(request: predictor_service_pb2.ObserveRequest) -> Report:
    """Everything that a request tells, by place."""
    environment = converters.environment_of(request.environment)
    executed = [(environment_of(each, environment), each) for each in request.executions]
    return Report(
        place=environment.place,
        observations=converters.observations_of(request.observations),
        executions=tuple((where.place, execution_of(each, where)) for where, each in executed),
        features=converters.features_of(request.features),
    )


def environment_of(message: predictor_service_pb2.ExecutedPlan, otherwise: Environment) -> Environment:
    """Where a plan was carried out."""
    return converters.environment_of(message.environment) if message.HasField("environment") else otherwise


def execution_of(message: predictor_service_pb2.ExecutedPlan, environment: Environment) -> Execution:
    """A plan that was carried out in `environment`."""
    return Execution(
        plan=plan_of(message.plan),
        core_count=environment.core_count,
        latency_ms=message.latency_ms,
        memory_mb=message.memory_mb if message.HasField("memory_mb") else None,
        runs=tuple(
            ExecutedRun(run.model_name, run.batch_size, run.lane_width, run.concurrency, run.stage, run.run_time_ms)
            for run in message.runs
        ),
        end_time=message.end_time.seconds + message.end_time.nanos / 1e9,
        other_programs_cores=message.other_programs_cores if message.HasField("other_programs_cores") else None,
        replicas=message.plan.replicas if message.plan.HasField("replicas") else 1,
    )


def plan_of(message: core_pb2.Plan) -> Plan:
    """The schedule; one that does not name its strategy is called by its shape."""
    stages = tuple(
        Stage(tuple(PlannedRun(run.model_name, run.batch_size, run.lane, tuple(run.members)) for run in stage.runs))
        for stage in message.stages
    )
    strategy = converters.strategy_of(message.strategy) or _strategy_by_shape(stages)
    return Plan(strategy, stages, tuple(message.lane_widths))


def _strategy_by_shape(stages: Sequence[Stage]) -> Strategy:
    if all(len(stage.runs) == 1 for stage in stages):
        return Strategy.SEQUENTIAL
    return Strategy.PARALLEL if len(stages) == 1 else Strategy.BATCHED
