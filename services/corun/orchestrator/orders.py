"""What requests ask for, with the service's settings where they are silent."""

from __future__ import annotations

from corun.orchestrator.comparing import ComparisonOrder
from corun.orchestrator.config import Settings
from corun.orchestrator.converters import configuration_of, goal_of, policy_of, strategy_of
from corun.orchestrator.core.configuration import Configuration
from corun.orchestrator.core.rounds import RoundPolicy
from corun.orchestrator.core.terms import Strategy
from corun.orchestrator.execution import ExecutionOrder
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


def execution_order(
    request: orchestrator_pb2.ExecuteWithStrategyRequest, settings: Settings, configuration: Configuration
) -> ExecutionOrder:
    """What an execution is to do; `configuration` is in force where the request does not say otherwise."""
    given = request.strategy != core_pb2.STRATEGY_UNSPECIFIED
    return ExecutionOrder(
        strategy=strategy_of(request.strategy) if given else None,
        goal=goal_of(request.goal),
        policy=policy_of(
            request.validation, interval=settings.validation_interval, error_threshold=settings.error_threshold
        ),
        configuration=configuration_of(request.configuration, otherwise=configuration),
        by_thresholds=request.allow_threshold_choice,
        inputs=tuple(request.inputs),
        return_outputs=request.return_outputs,
        return_measurements=request.return_measurements if request.HasField("return_measurements") else True,
    )


def comparison_order(
    request: orchestrator_pb2.CompareStrategiesRequest, settings: Settings, configuration: Configuration
) -> ComparisonOrder:
    """The same of a comparison."""
    return ComparisonOrder(
        strategies=tuple(map(strategy_of, request.strategies)) or tuple(Strategy),
        goal=goal_of(request.goal),
        rounds=RoundPolicy.asked(
            request.rounds if request.HasField("rounds") else None,
            request.max_rounds if request.HasField("max_rounds") else None,
        ),
        error_threshold=settings.error_threshold,
        configuration=configuration_of(request.configuration, otherwise=configuration),
    )


def default_configuration(settings: Settings) -> Configuration:
    """What bounds the choice where nobody has changed it."""
    return Configuration(
        batching_size=settings.batching_size,
        parallel_threshold=settings.parallel_threshold,
        sequential_threshold=settings.sequential_threshold,
        memory_threshold_mb=settings.memory_threshold_mb,
    )
