"""Builds the orchestrator from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from corun.orchestrator.config import Settings
from corun.orchestrator.peers import Link, Peers, Timeouts
from corun.orchestrator.servicer import OrchestratorServicer
from corun.plumbing.channel import open_channel
from corun.plumbing.server import Service
from corun.v1 import orchestrator_service_pb2
from corun.v1.orchestrator_service_pb2_grpc import add_OrchestratorServiceServicer_to_server

NAME = orchestrator_service_pb2.DESCRIPTOR.services_by_name["OrchestratorService"].full_name


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The service, its channels open until the context ends. The peers need not run yet."""
    async with AsyncExitStack() as stack:

        def link(service: str, target: str) -> Link:
            channel = open_channel(target)
            stack.push_async_callback(channel.close)
            return Link(service, target, channel)

        peers = Peers(
            predictor=link("predictor", settings.predictor_target),
            pool=link("resource pool", settings.resource_pool_target),
            validator=link("validator", settings.validator_target),
            timeouts=timeouts_of(settings),
        )
        yield Service(NAME, OrchestratorServicer(peers, settings), add_OrchestratorServiceServicer_to_server)


def timeouts_of(settings: Settings) -> Timeouts:
    """How long calls of the peers may take."""
    return Timeouts(
        short=settings.peer_timeout_seconds,
        prepare=settings.prepare_timeout_seconds,
        profile=settings.profile_timeout_seconds,
        execute=settings.execute_timeout_seconds,
        full_pool=settings.full_pool_timeout_seconds,
    )
