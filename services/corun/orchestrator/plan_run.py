"""One plan carried out by the pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from corun.errors import CorunError
from corun.orchestrator.peers import Peers
from corun.v1 import resource_pool_service_pb2 as pool_pb2


class PlanRun:
    """Forwards the pool's events and keeps the measurement that ends them."""

    def __init__(self, peers: Peers, request: pool_pb2.ExecutePlanRequest) -> None:
        self._peers = peers
        self._request = request
        self.measurement = pool_pb2.Measurement()

    async def events(self) -> AsyncGenerator[pool_pb2.ExecutePlanResponse, None]:
        """Everything that the pool reports, to the measurement.

        Raises:
            CorunError: the pool ended without a measurement.
            PeerUnavailable: the pool stopped answering.
            RemoteError: the pool's own failure.
        """
        measured = False
        async with aclosing(self._peers.execute_plan(self._request)) as events:
            async for event in events:
                if event.HasField("measured"):
                    self.measurement, measured = event.measured, True
                yield event
        if not measured:
            raise CorunError("the resource pool ended the plan without a measurement")
