"""One plan carried out by the pool."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from corun.errors import CorunError
from corun.orchestrator.peers import Peers
from corun.v1 import resource_pool_service_pb2 as pool_pb2


async def carry_out(
    peers: Peers, request: pool_pb2.ExecutePlanRequest, on_event: Callable[[pool_pb2.ExecutePlanResponse], None]
) -> pool_pb2.Measurement:
    """Tells `on_event` of everything that the pool reports; gives the measurement that ends it.

    Cancelling it cancels the pool's call.

    Raises:
        CorunError: the pool ended without a measurement.
        PeerUnavailable: the pool stopped answering.
        RemoteError: the pool's own failure.
    """
    measurement = None
    async with aclosing(peers.execute_plan(request)) as events:
        async for event in events:
            if event.HasField("measured"):
                measurement = event.measured
            on_event(event)
    if measurement is None:
        raise CorunError("the resource pool ended the plan without a measurement")
    return measurement
