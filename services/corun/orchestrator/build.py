"""Builds the orchestrator from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc

from corun.orchestrator.adapting import Adapting
from corun.orchestrator.admission import Admission
from corun.orchestrator.config import Settings
from corun.orchestrator.configurations import Configurations
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.core.exploration import Exploration
from corun.orchestrator.core.validation import ExecutionCounter
from corun.orchestrator.delivery import Delivery
from corun.orchestrator.executions import Executions
from corun.orchestrator.housekeeping import prune_now_and_then
from corun.orchestrator.lessons import Lessons
from corun.orchestrator.orders import default_configuration
from corun.orchestrator.peer_health import PeerHealth
from corun.orchestrator.peers import Link, Peers, Timeouts
from corun.orchestrator.preparation import Preparations
from corun.orchestrator.refinements import Refinements
from corun.orchestrator.servicer import OrchestratorServicer
from corun.orchestrator.starting import Starting
from corun.orchestrator.store.opening import open_store
from corun.orchestrator.turns import Turns
from corun.plumbing.channel import open_channel
from corun.plumbing.server import Service
from corun.v1 import orchestrator_service_pb2
from corun.v1.orchestrator_service_pb2_grpc import add_OrchestratorServiceServicer_to_server

NAME = orchestrator_service_pb2.DESCRIPTOR.services_by_name["OrchestratorService"].full_name


@asynccontextmanager
async def build(
    settings: Settings, *, connect: Callable[[str], grpc.aio.Channel] = open_channel
) -> AsyncIterator[Service]:
    """The service, its channels and its file open until the context ends. The peers need not run yet.

    Args:
        settings: What it does, and where its peers are.
        connect: Gives a channel to the address of a peer, which is closed with the service.

    Raises:
        DatabaseLocked: another orchestrator holds the state folder.
        OSError: the folder cannot be written.
    """
    async with AsyncExitStack() as stack:
        links = []

        def link(service: str, target: str) -> Link:
            channel = connect(target)
            stack.push_async_callback(channel.close)
            links.append(Link(service, target, channel))
            return links[-1]

        store = await stack.enter_async_context(open_store(settings.state_folder))
        peers = Peers(
            predictor=link("predictor", settings.predictor_target),
            pool=link("resource pool", settings.resource_pool_target),
            validator=link("validator", settings.validator_target),
            timeouts=timeouts_of(settings),
        )
        health = PeerHealth(links, interval_seconds=settings.peer_check_interval_seconds)
        delivery, lessons = Delivery(peers, store.outbox), Lessons(peers)
        health.on_return("validator", delivery.resume)
        executions = Executions(store.executions, heartbeat_seconds=settings.heartbeat_seconds)
        await executions.recover()
        await delivery.recover()
        configurations = Configurations(store.configurations, default_configuration(settings))
        await configurations.recover()
        adapting = Adapting(peers, configurations, delivery, settings)
        refinements = Refinements(peers, delivery, executions, health, settings)
        turns = Turns()
        context = ExecutionContext(
            peers=peers,
            turns=turns,
            delivery=delivery,
            lessons=lessons,
            health=health,
            counter=ExecutionCounter(await store.executions.execution_counts()),
            refinements=refinements,
            preparations=Preparations(peers, reuse_seconds=settings.preparation_reuse_seconds),
            exploration=Exploration(settings.exploration_rate, settings.exploration_seed),
            record_wait_seconds=settings.peer_timeout_seconds,
            max_waiting_bytes=int(settings.outbox_max_mb * 1e6),
            pool_return_seconds=settings.pool_return_timeout_seconds,
        )
        admission = Admission(
            per_client=settings.max_executions_per_client,
            in_total=settings.max_executions,
            expected_wait_seconds=turns.expected_wait_seconds,
        )
        for work in (delivery.run(), lessons.run(), prune_now_and_then(store.executions, settings)):
            await stack.enter_async_context(_running(work))
        watch = await stack.enter_async_context(_running(health.run()))
        followers = [await stack.enter_async_context(_running(each.run())) for each in (refinements, adapting)]
        stack.push_async_callback(executions.close)
        starting = Starting(context, executions, admission, configurations, settings)
        servicer = OrchestratorServicer(
            peers,
            executions,
            starting,
            delivery=delivery,
            configurations=configurations,
            adapting=adapting,
            refinements=refinements,
        )

        async def drain() -> None:
            watch.cancel()  # services of one process end together: that is nothing to warn of
            await executions.close()
            await lessons.settle(within_seconds=settings.peer_timeout_seconds)
            # What is delivered from now on must not begin anything that the end of the services would cut short.
            for follower in followers:
                follower.cancel()
            await asyncio.wait(followers)
            await delivery.settle(within_seconds=settings.peer_timeout_seconds)

        yield Service(NAME, servicer, add_OrchestratorServiceServicer_to_server, health.parts, drain=drain)


def timeouts_of(settings: Settings) -> Timeouts:
    """How long calls of the peers may take."""
    return Timeouts(
        short=settings.peer_timeout_seconds,
        prepare=settings.prepare_timeout_seconds,
        profile=settings.profile_timeout_seconds,
        execute=settings.execute_timeout_seconds,
        dataset=settings.refinement_timeout_seconds,
        refine=settings.refinement_timeout_seconds,
        full_pool=settings.full_pool_timeout_seconds,
    )


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Runs `work` while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
