"""A real pool that tests do harm to: its contract, its inside, and what must be true of it afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.resource_pool.browser import processes
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.conversion import from_array, platform_value
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.servicer import ResourcePoolServicer
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.faults.fault_models import QUICK
from tests.until import until

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

SERVICE_NAME = "corun.v1.ResourcePoolService"
QUIET_SECONDS = 10.0
# From nothing to ready, on two idle cores.
_USUAL_START_SECONDS = {"chromium": 2.0, "chromium-shell": 1.0, "firefox": 4.0}
_WIDTHS = {"heavy": 1024}


@dataclass(slots=True)
class FaultyPool:
    """A served pool.

    Attributes:
        stub: Its contract.
        inside: What serves it.
        address: Where it listens.
        seen: Every process that any of its browsers was seen to have.
        pace: How many times slower than on an idle machine a browser starts here and now, at least 1.
    """

    stub: ResourcePoolServiceAsyncStub
    inside: ResourcePoolServicer
    address: str
    seen: set[psutil.Process] = field(default_factory=set)
    pace: float = 1.0

    @property
    def connections(self) -> list[BrowserConnection]:
        """Its browsers."""
        return self.inside.pool.fleet.connections

    async def status(self) -> messages.GetPoolStatusResponse:
        """As it says itself; notes the processes of its browsers on the way."""
        for connection in self.connections:
            if connection.process_id:
                self.seen.update(processes.family(connection.main_process))
        return await self.stub.GetPoolStatus(messages.GetPoolStatusRequest())

    async def infer(self, engine: str, *, platform: str = "wasm", model: str = QUICK, timeout: float = 60) -> str:
        """Runs a model once; gives the engine that served."""
        request = infer_request(engine, platform=platform, model=model)
        response = await self.stub.Infer(request, timeout=timeout)
        return response.engine

    async def learn_pace(self, engine: str) -> None:
        """Starts a browser and runs it once, so that platforms are known, and compares with an idle machine."""
        begin = time.monotonic()
        async with self.inside.pool.lease((need(engine),), purpose="a start", exclusive=False):
            self.pace = max(1.0, (time.monotonic() - begin) / _USUAL_START_SECONDS[engine])
        await self.infer(engine, timeout=120)

    def bound(self, seconds: float) -> float:
        """A bound that holds on an idle machine, for this one."""
        return seconds * self.pace

    @asynccontextmanager
    async def all_held(self, engine: str) -> AsyncIterator[None]:
        """There are two browsers of the engine and nothing else, and both are somebody else's."""
        async with self.inside.pool.lease((need(engine),) * 2, purpose="a bystander", exclusive=False):
            yield

    async def start_both(self, engine: str) -> None:
        """Sees to it that there are two browsers of the engine and nothing else."""
        async with self.all_held(engine):
            await self.status()

    async def health(self, part: str = "") -> int:
        """Of the service, or of a part of it such as webgpu."""
        async with open_channel(self.address) as channel:
            return await ask_health(channel, part)

    async def until_health_is(self, expected: int, part: str = "") -> None:
        """Health tells of a change as soon as whoever watches the pool has seen it."""
        for _ in range(50):
            if await self.health(part) == expected:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"the health of {part or 'the service'} stays {await self.health(part)}")

    async def ready_or_leased(self, count: int, *, within_seconds: float) -> float:
        """Waits until so many browsers are up; gives how long it took."""
        up = {"ready", "leased"}
        return await until(lambda: sum(each.state in up for each in self.connections) >= count, within_seconds)

    async def assert_unharmed(self, engine: str) -> None:
        """Nothing is held, nothing is left behind, and the next run works."""
        await until(self._is_quiet, self.bound(QUIET_SECONDS))
        assert await self.infer(engine) == engine
        status = await self.status()
        assert (list(status.leases), status.queued_count, status.tensor_count) == ([], 0, 0)
        assert {connection.state for connection in status.connections} == {"ready"}
        assert (await self.stub.ListTensors(messages.ListTensorsRequest())).tensors == []
        assert self.strays() == []

    def strays(self) -> list[psutil.Process]:
        """Processes of browsers that the pool does not have any more."""
        own = {process for each in self.connections for process in processes.family(each.main_process)}
        return [process for process in self.seen - own if processes.is_alive(process)]

    def _is_quiet(self) -> bool:
        pool = self.inside.pool
        states = {each.state for each in self.connections}
        return not pool.leases and not pool.queued_count and states == {"ready"} and not self.strays()


async def ask_health(channel: grpc.aio.Channel, part: str = "", *, timeout: float | None = None) -> int:
    """What a pool says of its health, or of a part's."""
    name = "/".join(filter(None, (SERVICE_NAME, part)))
    check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs know no methods
    response = await check(health_pb2.HealthCheckRequest(service=name), timeout=timeout)
    return int(response.status)


def need(engine: str) -> ConnectionNeed:
    """A browser without any lane."""
    return ConnectionNeed(engine, "wasm", ())


def infer_request(engine: str, *, platform: str = "wasm", model: str = QUICK) -> messages.InferRequest:
    """One item of ones."""
    ones = np.ones((1, _WIDTHS.get(model, 8)), np.float32)
    tensors = [from_array("x", ones)]
    return messages.InferRequest(model_name=model, platform=platform_value(platform), tensors=tensors, engine=engine)


def plan_request(
    engine: str, *, model: str, platform: str = "wasm", iterations: int = 1, lanes: int = 1, batch_size: int = 1
) -> messages.ExecutePlanRequest:
    """A model so many times in parallel."""
    runs = [
        core_pb2.PlannedRun(model_name=model, batch_size=batch_size, lane=lane, members=[lane]) for lane in range(lanes)
    ]
    plan = core_pb2.Plan(
        strategy=core_pb2.STRATEGY_PARALLEL, stages=[core_pb2.Stage(runs=runs)], lane_widths=[1] * lanes
    )
    return messages.ExecutePlanRequest(
        plan=plan,
        platform=platform_value(platform),
        iterations=iterations,
        browser_preferences={"text_embedding": engine},
    )


@asynccontextmanager
async def faulty_pool(models: Path, **settings: object) -> AsyncIterator[FaultyPool]:
    """Serves a pool with room for two browsers that knows the faulty models."""
    server = Server(host="127.0.0.1", port=0)
    given = Settings.model_validate({"max_connections": 2, "core_count": 2, "models_folder": models, **settings})
    async with build(given) as service, server.serving([service]), open_channel(server.address) as channel:
        yield FaultyPool(ResourcePoolServiceStub(channel), service.servicer, server.address)


def real(connection: BrowserConnection) -> Connection:
    """The connection as what it is in these tests: one with a real browser."""
    assert isinstance(connection, Connection)
    return connection
