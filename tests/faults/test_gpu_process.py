"""A graphics process that crashes again and again: webgpu works again, or the pool says openly that it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2

from corun.plumbing.status import RemoteError
from corun.resource_pool.browser.engines import ENGINES
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.conversion import platform_value
from tests.faults import damage
from tests.faults.fault_models import HEAVY
from tests.faults.faulty_pool import FaultyPool, real
from tests.until import until

CRASHES = 6
FAILED_AT_ONCE = 2.0


async def crash_gpu(connection: BrowserConnection) -> None:
    """As the browser's own debugging interface does it."""
    session = await real(connection).browser.new_browser_cdp_session()
    await session.send("Browser.crashGpuProcess")
    await session.detach()


async def kill_gpu(connection: BrowserConnection) -> None:
    """As the kernel does it."""
    damage.kill(damage.gpu_process(connection))


@pytest.fixture
def engine_with_gpu_process(engine: str) -> str:
    """Firefox does its graphics in the main process here."""
    if ENGINES[engine].family != "chromium":
        pytest.skip("this engine has no graphics process")
    return engine


def webgpu_holder(pool: FaultyPool) -> BrowserConnection:
    """The browser with a lane on webgpu."""
    (found,) = [each for each in pool.connections if any(lane.platform == "webgpu" for lane in each.lanes.values())]
    return found


async def until_gpu_is_back(connection: BrowserConnection, before: set[int]) -> None:
    await until(lambda: bool({each.pid for each in damage.gpu_process(connection)} - before), 10)


@pytest.mark.parametrize("crash", [crash_gpu, kill_gpu])
async def test_after_six_crashes_of_its_graphics_process_webgpu_works_or_says_openly_that_it_does_not(
    pool: FaultyPool, engine_with_gpu_process: str, crash: Callable[[BrowserConnection], Awaitable[None]]
) -> None:
    engine = engine_with_gpu_process
    assert await pool.infer(engine, platform="webgpu") == engine
    victim = webgpu_holder(pool)
    for _ in range(CRASHES):
        before = {each.pid for each in damage.gpu_process(victim)}
        await crash(victim)
        await until_gpu_is_back(victim, before)
    await until(lambda: not any(lane.platform == "webgpu" for lane in victim.lanes.values()), 5)
    begin = time.monotonic()
    assert await pool.infer(engine, platform="webgpu") == engine
    print(f"{engine}: webgpu again after {time.monotonic() - begin:.2f} s")


async def test_a_device_that_is_lost_fails_its_run_at_once_and_the_run_is_tried_again(
    pool: FaultyPool, engine_with_gpu_process: str
) -> None:
    engine = engine_with_gpu_process
    await pool.infer(engine, platform="webgpu", model=HEAVY)
    victim = webgpu_holder(pool)
    losses: list[float] = []
    (lane,) = [each for each in victim.lanes.values() if each.platform == "webgpu"]
    on_lost = lane.on_lost

    def note() -> None:
        losses.append(time.monotonic())
        on_lost()

    lane.on_lost = note
    running = asyncio.ensure_future(pool.infer(engine, platform="webgpu", model=HEAVY, timeout=120))
    await until(lambda: bool(pool.inside.pool.leases), 5)
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    await kill_gpu(victim)
    assert await running == engine
    assert losses
    print(f"{engine}: noticed after {losses[0] - begin:.2f} s")
    assert losses[0] - begin < pool.bound(FAILED_AT_ONCE)


async def test_a_platform_that_failed_several_times_is_said_to_be_degraded_until_it_works_again(
    pool: FaultyPool, engine_with_gpu_process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three failures in a row open the breaker; a pause of 5 s follows."""
    engine = engine_with_gpu_process
    others = [name for name in ENGINES if name != engine]
    for name in others:
        monkeypatch.delitem(ENGINES, name)
    assert await pool.infer(engine, platform="webgpu") == engine
    await pool.until_health_is(health_pb2.HealthCheckResponse.SERVING, "webgpu")
    for each in [found.engine for found in pool.inside.capabilities.probed] * 3:
        pool.inside.pool.fleet.health.note_failure(each, "the GPU device was lost", platform="webgpu")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.infer(engine, platform="webgpu")
    error = RemoteError.from_rpc(caught.value)
    assert error.reason == "PLATFORM_UNAVAILABLE"
    assert error.retry_after_seconds is not None
    assert 0 < error.retry_after_seconds <= 5
    (entry,) = [
        each
        for each in (await pool.status()).platforms
        if (each.engine, each.platform) == (engine, platform_value("webgpu"))
    ]
    assert (entry.state, entry.detail) == ("degraded", "the GPU device was lost")
    await pool.until_health_is(health_pb2.HealthCheckResponse.NOT_SERVING, "webgpu")
    await asyncio.sleep(error.retry_after_seconds + 0.1)
    assert await pool.infer(engine, platform="webgpu") == engine
    await pool.until_health_is(health_pb2.HealthCheckResponse.SERVING, "webgpu")
