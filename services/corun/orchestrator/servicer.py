"""OrchestratorService: messages to the orchestrator's terms, and events back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from corun.errors import ExecutionCancelled, InvalidField
from corun.orchestrator.adapting import Adapting
from corun.orchestrator.configurations import Configurations
from corun.orchestrator.converters import configuration_message
from corun.orchestrator.delivery import Delivery
from corun.orchestrator.executions import Executions
from corun.orchestrator.heartbeats import with_heartbeats
from corun.orchestrator.peers import Peers
from corun.orchestrator.refinements import Refinements
from corun.orchestrator.starting import Starting
from corun.orchestrator.summaries import summary_of
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceServicer

_Context = grpc.aio.ServicerContext[Any, Any]

_DEFAULT_PAGE_SIZE = 100
_BEYOND_ALL = 2**62
_RECORDS_SECONDS = 1.0


class OrchestratorServicer(OrchestratorServiceServicer):
    """Serves the front door with the help of its peers, which it does not own."""

    def __init__(
        self,
        peers: Peers,
        executions: Executions,
        starting: Starting,
        *,
        delivery: Delivery,
        configurations: Configurations,
        adapting: Adapting,
        refinements: Refinements,
    ) -> None:
        self._peers = peers
        self._executions = executions
        self._starting = starting
        self._delivery = delivery
        self._configurations = configurations
        self._adapting = adapting
        self._refinements = refinements

    async def ExecuteWithStrategy(
        self, request: orchestrator_pb2.ExecuteWithStrategyRequest, context: _Context
    ) -> AsyncIterator[ExecuteWithStrategyResponse]:
        """Runs a workload and streams what happens."""
        events = with_heartbeats(self._starting.execute(request, context), ExecuteWithStrategyResponse)
        async with aclosing(events):
            async for event in events:
                yield event

    async def CompareStrategies(
        self, request: orchestrator_pb2.CompareStrategiesRequest, context: _Context
    ) -> AsyncIterator[CompareStrategiesResponse]:
        """Runs a workload under several strategies and says which was best."""
        events = with_heartbeats(self._starting.compare(request, context), CompareStrategiesResponse)
        async with aclosing(events):
            async for event in events:
                yield event

    async def WatchExecution(
        self, request: orchestrator_pb2.WatchExecutionRequest, context: _Context
    ) -> AsyncIterator[orchestrator_pb2.WatchExecutionResponse]:
        """Streams the events of an execution from anywhere."""
        kind = await self._executions.kind_of(request.execution_id)
        watched = self._executions.watch(request.execution_id, after=request.after_sequence)
        events = with_heartbeats(watched, kind.event_class, after=request.after_sequence)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, ExecuteWithStrategyResponse):
                    yield orchestrator_pb2.WatchExecutionResponse(execution=event)
                else:
                    yield orchestrator_pb2.WatchExecutionResponse(comparison=event)

    async def CancelExecution(
        self, request: orchestrator_pb2.CancelExecutionRequest, context: _Context
    ) -> orchestrator_pb2.CancelExecutionResponse:
        """Ends an execution."""
        cause = ExecutionCancelled(request.execution_id, "it was asked to end")
        row = await self._executions.cancel(request.execution_id, cause)
        return orchestrator_pb2.CancelExecutionResponse(execution=summary_of(row))

    async def ListExecutions(
        self, request: orchestrator_pb2.ListExecutionsRequest, context: _Context
    ) -> orchestrator_pb2.ListExecutionsResponse:
        """Executions that are kept."""
        limit = request.page_size if request.HasField("page_size") else _DEFAULT_PAGE_SIZE
        rows = await self._executions.newest(
            state=request.state, before=_number_of(request.page_token), limit=limit + 1
        )
        more = len(rows) > limit
        return orchestrator_pb2.ListExecutionsResponse(
            executions=map(summary_of, rows[:limit]), next_page_token=str(rows[limit - 1].number) if more else ""
        )

    async def GetValidationMetrics(
        self, request: orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest, context: _Context
    ) -> orchestrator_pb2.OrchestratorServiceGetValidationMetricsResponse:
        """The validator's metrics."""
        await self._delivery.settle(within_seconds=_RECORDS_SECONDS)  # else what has just ended may be missing
        metrics = await self._peers.validation_metrics(request.query)
        return orchestrator_pb2.OrchestratorServiceGetValidationMetricsResponse(metrics=metrics)

    async def GetRefinementStatus(
        self, request: orchestrator_pb2.GetRefinementStatusRequest, context: _Context
    ) -> orchestrator_pb2.GetRefinementStatusResponse:
        """How the refinement of the predictor goes."""
        return self._refinements.status()

    async def GetStrategyConfiguration(
        self, request: orchestrator_pb2.GetStrategyConfigurationRequest, context: _Context
    ) -> orchestrator_pb2.GetStrategyConfigurationResponse:
        """What bounds the choice on a platform."""
        return orchestrator_pb2.GetStrategyConfigurationResponse(
            configuration=self._configurations.message(request.platform),
            defaults=configuration_message(self._configurations.defaults),
            changes=await self._configurations.changes(request.platform),
        )

    async def GetAdaptiveConfiguration(
        self, request: orchestrator_pb2.GetAdaptiveConfigurationRequest, context: _Context
    ) -> orchestrator_pb2.GetAdaptiveConfigurationResponse:
        """The values that an adaptive update would set."""
        return await self._adapting.get(request.platform)

    async def UpdateStrategyConfiguration(
        self, request: orchestrator_pb2.UpdateStrategyConfigurationRequest, context: _Context
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Changes what bounds the choice on a platform."""
        if request.HasField("reset"):
            return await self._configurations.reset(request.platform)
        if request.HasField("values"):
            return await self._configurations.set_by_hand(request.platform, request.values)
        return await self._adapting.update(request.platform)


def _number_of(page_token: str) -> int:
    if not page_token:
        return _BEYOND_ALL
    if not (page_token.isascii() and page_token.isdecimal()) or int(page_token) > _BEYOND_ALL:
        raise InvalidField("page_token", f"expected the next_page_token of a response; received {page_token!r}")
    return int(page_token)
