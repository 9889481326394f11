"""From a request to an execution that is under way: once for each request_id, within limits, prepared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing

from corun.orchestrator.admission import Admission, Admitted
from corun.orchestrator.comparing import Comparison
from corun.orchestrator.config import Settings
from corun.orchestrator.configurations import Configurations
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.execution import Execution
from corun.orchestrator.executions import Executions, Launch, Origin
from corun.orchestrator.heartbeats import until_done
from corun.orchestrator.kinds import COMPARISON, EXECUTION, Kind
from corun.orchestrator.live import Event
from corun.orchestrator.one_at_a_time import OneAtATime
from corun.orchestrator.orders import comparison_order, execution_order
from corun.orchestrator.origin import Context, Request, client_of, deadline_of, digest_of, window_of
from corun.orchestrator.preparation import Preparation
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse


class Starting:
    """Starts executions and comparisons, or finds those that a request has become before."""

    def __init__(
        self,
        context: ExecutionContext,
        executions: Executions,
        admission: Admission,
        configurations: Configurations,
        settings: Settings,
    ) -> None:
        self._context = context
        self._executions = executions
        self._admission = admission
        self._configurations = configurations
        self._settings = settings
        self._requests = OneAtATime()

    def execute(
        self, request: orchestrator_pb2.ExecuteWithStrategyRequest, call: Context
    ) -> AsyncGenerator[ExecuteWithStrategyResponse | None, None]:
        """Events of the execution that the request becomes or has become; None whenever nothing happens for a while."""
        order = execution_order(request, self._settings, self._configurations.in_force(request.platform))
        client = client_of(request, call)

        def launch(preparation: Preparation) -> Launch[ExecuteWithStrategyResponse]:
            return Launch(
                lambda execution_id: ExecuteWithStrategyResponse(
                    accepted=orchestrator_pb2.ExecutionAccepted(execution_id=execution_id)
                ),
                lambda live: Execution(self._context, preparation, order, client=client, live=live).run(),
            )

        return self._followed(EXECUTION, request, call, launch)

    def compare(
        self, request: orchestrator_pb2.CompareStrategiesRequest, call: Context
    ) -> AsyncGenerator[CompareStrategiesResponse | None, None]:
        """The same of a comparison."""
        order = comparison_order(request, self._settings, self._configurations.in_force(request.platform))
        client = client_of(request, call)

        def launch(preparation: Preparation) -> Launch[CompareStrategiesResponse]:
            return Launch(
                lambda comparison_id: CompareStrategiesResponse(
                    accepted=orchestrator_pb2.ComparisonAccepted(
                        comparison_id=comparison_id, planned_run_count=order.planned_run_count
                    )
                ),
                lambda live: Comparison(self._context, preparation, order, client=client, live=live).run(),
            )

        return self._followed(COMPARISON, request, call, launch)

    async def _followed(
        self,
        kind: Kind[Event],
        request: Request,
        call: Context,
        launch: Callable[[Preparation], Launch[Event]],
    ) -> AsyncGenerator[Event | None, None]:
        deadline, digest = deadline_of(call), digest_of(request)
        async with AsyncExitStack() as stack:
            async with self._requests.holding(request.request_id):
                execution_id = await self._executions.repeated(request.request_id, digest, kind)
                if execution_id:
                    events = self._executions.watch(execution_id)
                else:
                    admitted = stack.enter_context(self._admission.admit(client_of(request, call)))
                    preparing = asyncio.ensure_future(self._prepared(request))
                    beats = until_done(preparing, interval_seconds=self._settings.heartbeat_seconds)
                    async with aclosing(beats):
                        async for beat in beats:
                            yield beat
                    origin = self._origin(request, admitted, digest, deadline)
                    live = self._executions.start(kind, origin, launch(preparing.result()))
                    # Watched before anything is waited for: a caller that leaves now stops what it has started.
                    stack.enter_context(live.watching())
                    await asyncio.shield(live.accepted)
                    events = live.events(after=0, heartbeat_seconds=self._settings.heartbeat_seconds)
            async with aclosing(events):
                async for event in events:
                    yield event

    def _origin(self, request: Request, admitted: Admitted, digest: bytes, deadline: float | None) -> Origin:
        return Origin(
            admitted=admitted,
            request_id=request.request_id,
            digest=digest,
            workload=request.workload,
            platform=request.platform,
            reattach_window=window_of(request),
            deadline=deadline,
        )

    async def _prepared(self, request: Request) -> Preparation:
        preparation = await self._context.preparations.of(
            request.workload, request.platform, request.browser_preferences
        )
        self._context.turns.resize(preparation.connection_count)
        return preparation
