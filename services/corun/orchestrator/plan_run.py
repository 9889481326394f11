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
    async with aclosing(peers.execute_plan(request)) as events:
        async for event in events:
            on_event(event)
            if event.HasField("measured"):
                return event.measured  # the last event: nobody has to wait for the end of the stream
    raise CorunError("the resource pool ended the plan without a measurement")
