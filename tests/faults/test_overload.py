"""Ten times more work than a browser can do: what is accepted stays quick, and the rest is told when to come back.

`CORUN_TEST_OVERLOAD_SECONDS` makes it as long as it says.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
from grpc_health.v1 import health_pb2

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.browser.running import pool_process
from tests.faults.fault_models import SLOW
from tests.faults.faulty_pool import ask_health, infer_request

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

OVERLOAD_SECONDS = float(os.environ.get("CORUN_TEST_OVERLOAD_SECONDS", "10"))
FACTOR = 10
UNLOADED_RUNS = 40
SLOWER_AT_MOST = 2.0
BUSY_SHARE = 0.7
HEALTH_PAUSE = 0.1
HEALTH_SECONDS = 1.0
REQUEST = infer_request("chromium-shell", model=SLOW)


@dataclass(slots=True)
class Load:
    """What became of the requests: seconds of those that were served, and of every refusal its error."""

    served: list[float] = field(default_factory=list)
    refused: list[RemoteError] = field(default_factory=list)

    async def send(self, stub: ResourcePoolServiceAsyncStub) -> None:
        """Asks once and notes the answer."""
        begin = time.perf_counter()
        try:
            await stub.Infer(REQUEST, timeout=30)
        except grpc.aio.AioRpcError as error:
            self.refused.append(RemoteError.from_rpc(error))
        else:
            self.served.append(time.perf_counter() - begin)


async def unloaded(stub: ResourcePoolServiceAsyncStub) -> list[float]:
    """Seconds of requests one after another."""
    load = Load()
    for _ in range(UNLOADED_RUNS):
        await load.send(stub)
    assert not load.refused
    return load.served


async def overloaded(stub: ResourcePoolServiceAsyncStub, usual_seconds: float) -> Load:
    """Requests that arrive at random, whatever became of those before."""
    load, chance = Load(), random.Random(7)
    begin = due = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        while due < begin + OVERLOAD_SECONDS:
            await asyncio.sleep(due - time.perf_counter())
            requests.create_task(load.send(stub))
            due += chance.expovariate(FACTOR / usual_seconds)
    return load


@asynccontextmanager
async def one_browser(
    models: Path, *, queue_timeout_seconds: float
) -> AsyncIterator[tuple[ResourcePoolServiceAsyncStub, str]]:
    """The contract of a pool that has room for one browser, and its address. This process is left to the clients."""
    settings = {
        "models_folder": models,
        "max_connections": 1,
        "core_count": 1,
        "queue_timeout_seconds": queue_timeout_seconds,
    }
    async with pool_process(settings) as (_, address), open_channel(address) as channel:
        yield ResourcePoolServiceStub(channel), address


async def health_answers(address: str) -> list[float]:
    """Asks for the health of the service until cancelled; gives the seconds of every answer."""
    times: list[float] = []
    async with open_channel(address) as channel:
        try:
            while True:
                begin = time.perf_counter()
                status = await ask_health(channel, timeout=HEALTH_SECONDS)
                times.append(time.perf_counter() - begin)
                assert status == health_pb2.HealthCheckResponse.SERVING
                await asyncio.sleep(HEALTH_PAUSE)
        except asyncio.CancelledError:
            return times


async def test_under_ten_times_its_load_the_pool_refuses_the_excess_and_serves_the_rest_as_quickly(
    fault_models: Path,
) -> None:
    async with one_browser(fault_models, queue_timeout_seconds=30) as (stub, _):
        alone = (await unloaded(stub))[UNLOADED_RUNS // 4 :]
    usual = statistics.median(alone)
    async with one_browser(fault_models, queue_timeout_seconds=usual / 2) as (stub, address):
        await stub.Infer(REQUEST, timeout=120, wait_for_ready=True)
        health = asyncio.create_task(health_answers(address))
        load = await overloaded(stub, usual)
        health.cancel()
        answers = await health
        status = await stub.GetPoolStatus(messages.GetPoolStatusRequest())
    p99, p99_alone = (float(np.percentile(each, 99)) for each in (load.served, alone))
    print(
        f"alone: p50 {usual * 1000:.0f} ms, p99 {p99_alone * 1000:.0f} ms; under load: {len(load.served)} served, "
        f"p50 {statistics.median(load.served) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms (ratio {p99 / p99_alone:.2f}), "
        f"{len(load.refused)} refused; health: {len(answers)} answers, slowest {max(answers) * 1000:.0f} ms"
    )
    assert Counter((each.code, each.reason) for each in load.refused).keys() == {("RESOURCE_EXHAUSTED", "POOL_FULL")}
    assert all(each.retry_after_seconds for each in load.refused)
    assert p99 <= SLOWER_AT_MOST * p99_alone
    assert len(load.served) >= BUSY_SHARE * OVERLOAD_SECONDS / usual
    assert len(load.refused) > len(load.served)
    assert len(answers) > OVERLOAD_SECONDS / (HEALTH_PAUSE + HEALTH_SECONDS)
    assert (list(status.leases), status.queued_count) == ([], 0)
    assert {connection.state for connection in status.connections} == {"ready"}
