"""Browsers that go with the shared tensors they hold: whoever wants one is told, and the others stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import grpc
import numpy as np
import pytest

from corun.plumbing.status import RemoteError
from corun.resource_pool.browser.engines import ENGINES
from corun.resource_pool.browser.unwatched_page import UnwatchedPage
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.conversion import from_array
from corun.resource_pool.core.placement import ConnectionNeed
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.faults import damage
from tests.faults.fault_models import ENDLESS, QUICK
from tests.faults.faulty_pool import FaultyPool, real
from tests.until import until

TOLD = 1.0
LOST, KEPT = "lost", "kept"
VALUES = np.arange(8, dtype=np.float32).reshape(1, 8)


async def share(pool: FaultyPool, engine: str, name: str) -> BrowserConnection:
    """Shares the values under a name; gives the browser that they went to."""
    request = messages.ShareTensorRequest(
        tensor=from_array(name, VALUES), producer_model=QUICK, storage_type="cpu", owner="test", engine=engine
    )
    shared = await pool.stub.ShareTensor(request, timeout=60)
    return pool.inside.pool.fleet.connection(shared.tensor.connection_id)


async def share_apart(pool: FaultyPool, engine: str) -> BrowserConnection:
    """One tensor in each browser; gives the one with LOST."""
    holder = await share(pool, engine, LOST)
    need = ConnectionNeed(engine, "wasm", (), connection_id=holder.connection_id)
    async with pool.inside.pool.lease((need,), purpose="a bystander", exclusive=False):
        assert await share(pool, engine, KEPT) is not holder
    return holder


async def consume(pool: FaultyPool, name: str, *, model: str = QUICK) -> messages.InferResponse:
    """Runs a model on a shared tensor."""
    request = messages.InferRequest(
        model_name=model,
        platform=core_pb2.PLATFORM_WASM,
        shared_inputs=[messages.SharedInput(input_name="x", tensor_name=name)],
    )
    return await pool.stub.Infer(request, timeout=60)


async def assert_told(pool: FaultyPool, consumer: Awaitable[messages.InferResponse]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(pool.bound(TOLD)):
            await consumer
    error = RemoteError.from_rpc(caught.value)
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "TENSOR_LOST")
    assert error.metadata["tensor_name"] == LOST
    assert repr(LOST) in error.message


async def assert_only_the_other_is_left(pool: FaultyPool, engine: str) -> None:
    """The other one can be read as before, and the lost one shared again; afterwards there is none."""
    listed = (await pool.stub.ListTensors(messages.ListTensorsRequest())).tensors
    assert [tensor.name for tensor in listed] == [KEPT]
    await share(pool, engine, LOST)
    for name in (KEPT, LOST):
        (output,) = (await consume(pool, name)).outputs
        np.testing.assert_allclose(np.frombuffer(output.content, np.float32), [VALUES.sum() / 2] * 4)
    await pool.stub.ReleaseTensor(messages.ReleaseTensorRequest(owner="test"))


async def test_a_tensor_of_a_killed_browser_is_told_to_be_lost_to_all_who_want_it(
    pool: FaultyPool, engine: str
) -> None:
    holder = await share_apart(pool, engine)
    await pool.status()
    damage.kill(damage.whole(holder))
    await assert_told(pool, consume(pool, LOST))  # before the pool need have noticed
    await until(lambda: holder not in pool.connections, pool.bound(TOLD))
    await assert_told(pool, consume(pool, LOST))
    await assert_only_the_other_is_left(pool, engine)


async def test_a_consumer_that_runs_and_one_that_waits_are_told_when_the_holder_is_killed(
    pool: FaultyPool, engine: str
) -> None:
    holder = await share_apart(pool, engine)
    running = asyncio.ensure_future(consume(pool, LOST, model=ENDLESS))
    await until(lambda: any(ENDLESS in lane.model_names for lane in holder.lanes.values()), pool.bound(20))
    waiting = asyncio.ensure_future(consume(pool, LOST))
    await until(lambda: pool.inside.pool.queued_count == 1, pool.bound(20))
    await pool.status()
    damage.kill(damage.whole(holder))
    await asyncio.gather(assert_told(pool, running), assert_told(pool, waiting))
    await assert_only_the_other_is_left(pool, engine)


async def crash_page(connection: BrowserConnection) -> None:
    """As the browser's debugging interface does it; the page cannot answer that any more."""
    session = await real(connection).browser.new_browser_cdp_session()
    targets = (await session.send("Target.getTargets"))["targetInfos"]
    (page,) = [each for each in targets if each["type"] == "page" and each["url"].startswith("http://127.0.0.1")]
    attached = await session.send("Target.attachToTarget", {"targetId": page["targetId"], "flatten": False})
    message = json.dumps({"id": 1, "method": "Page.crash"})
    await session.send("Target.sendMessageToTarget", {"sessionId": attached["sessionId"], "message": message})


async def go_to_crash(connection: BrowserConnection) -> None:
    """As whoever types the address."""
    page = real(connection).page
    assert isinstance(page, UnwatchedPage)
    await asyncio.gather(page.go_to("chrome://crash"), return_exceptions=True)


@pytest.mark.parametrize("crash", [crash_page, go_to_crash])
async def test_a_page_that_crashes_loses_its_tensors_and_its_browser_is_replaced(
    pool: FaultyPool, engine: str, crash: Callable[[BrowserConnection], Awaitable[None]]
) -> None:
    if ENGINES[engine].family != "chromium":
        pytest.skip("this engine cannot be told to crash a page")
    holder = await share_apart(pool, engine)
    await pool.status()
    crashing = asyncio.ensure_future(crash(holder))
    took = await until(lambda: holder not in pool.connections, pool.bound(TOLD))
    print(f"{engine}: noticed after {took:.2f} s: {holder.lost_cause}")
    assert holder.lost_cause == "the page crashed"
    await assert_told(pool, consume(pool, LOST))
    await assert_only_the_other_is_left(pool, engine)
    await crashing
