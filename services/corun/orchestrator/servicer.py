"""OrchestratorService: messages to the orchestrator's terms, and events back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from corun.orchestrator.comparing import Comparison, ComparisonOrder
from corun.orchestrator.config import Settings
from corun.orchestrator.converters import goal_of, policy_of, strategy_of
from corun.orchestrator.core.terms import Strategy
from corun.orchestrator.core.validation import ExecutionCounter
from corun.orchestrator.execution import Execution, ExecutionOrder
from corun.orchestrator.numbering import numbered
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation, prepare
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceServicer

_Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_ROUND_COUNT = 3


class OrchestratorServicer(OrchestratorServiceServicer):
    """Serves the front door with the help of its peers, which it does not own."""

    def __init__(self, peers: Peers, settings: Settings) -> None:
        self._peers = peers
        self._settings = settings
        self._counter = ExecutionCounter()

    async def ExecuteWithStrategy(
        self, request: orchestrator_pb2.ExecuteWithStrategyRequest, _context: _Context
    ) -> AsyncIterator[orchestrator_pb2.ExecuteWithStrategyResponse]:
        """Runs a workload and streams what happens."""
        preparation = await _prepared(self._peers, request)
        execution = Execution(
            self._peers, preparation, order=_execution_order(request, self._settings), counter=self._counter
        )
        async with aclosing(numbered(execution.events())) as events:
            async for event in events:
                yield event

    async def CompareStrategies(
        self, request: orchestrator_pb2.CompareStrategiesRequest, _context: _Context
    ) -> AsyncIterator[orchestrator_pb2.CompareStrategiesResponse]:
        """Runs a workload under several strategies and says which was best."""
        preparation = await _prepared(self._peers, request)
        comparison = Comparison(self._peers, preparation, order=_comparison_order(request, self._settings))
        async with aclosing(numbered(comparison.events())) as events:
            async for event in events:
                yield event

    async def GetValidationMetrics(
        self, request: orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest, _context: _Context
    ) -> orchestrator_pb2.OrchestratorServiceGetValidationMetricsResponse:
        """The validator's metrics."""
        metrics = await self._peers.validation_metrics(request.query)
        return orchestrator_pb2.OrchestratorServiceGetValidationMetricsResponse(metrics=metrics)


async def _prepared(
    peers: Peers, request: orchestrator_pb2.ExecuteWithStrategyRequest | orchestrator_pb2.CompareStrategiesRequest
) -> Preparation:
    return await prepare(
        peers, workload=request.workload, platform=request.platform, preferences=request.browser_preferences
    )


def _execution_order(request: orchestrator_pb2.ExecuteWithStrategyRequest, settings: Settings) -> ExecutionOrder:
    given = request.strategy != core_pb2.STRATEGY_UNSPECIFIED
    return ExecutionOrder(
        strategy=strategy_of(request.strategy) if given else None,
        goal=goal_of(request.goal),
        policy=policy_of(
            request.validation, interval=settings.validation_interval, error_threshold=settings.error_threshold
        ),
        batching_size=settings.batching_size,
    )


def _comparison_order(request: orchestrator_pb2.CompareStrategiesRequest, settings: Settings) -> ComparisonOrder:
    return ComparisonOrder(
        strategies=tuple(map(strategy_of, request.strategies)) or tuple(Strategy),
        goal=goal_of(request.goal),
        round_count=request.rounds if request.HasField("rounds") else DEFAULT_ROUND_COUNT,
        error_threshold=settings.error_threshold,
        batching_size=settings.batching_size,
    )
