"""Work that never ends and work that wants more memory than there is: a typed error within the bound, and on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.resource_pool.browser.engines import ENGINES
from corun.resource_pool.contract import BrowserConnection
from tests.faults.fault_models import BUSY, ENDLESS
from tests.faults.faulty_pool import FaultyPool, faulty_pool, plan_request, real
from tests.until import until

RUN_TIMEOUT = 2.0
FROZEN_PAGE_NOTICED = 10.0

ENDLESS_LOOP = "() => { for (;;) {} }"
EATS_MEMORY = "() => { const eaten = []; for (;;) { eaten.push(new Array(1e6).fill(Math.random())); } }"


@pytest.fixture(scope="session")
async def impatient_of_engine(engine: str, fault_models: Path) -> AsyncIterator[FaultyPool]:
    """A pool that lets a run take two seconds."""
    async with faulty_pool(fault_models, run_timeout_seconds=RUN_TIMEOUT, max_connections=1) as pool:
        await pool.infer(engine, timeout=120)
        yield pool


async def test_a_model_that_never_ends_is_given_up_in_time_and_its_lane_closed(
    impatient_of_engine: FaultyPool, engine: str
) -> None:
    pool = impatient_of_engine
    begin = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.infer(engine, model=ENDLESS)
    took = time.monotonic() - begin
    error = RemoteError.from_rpc(caught.value)
    assert (error.code, error.reason) == ("DEADLINE_EXCEEDED", "STEP_TIMED_OUT")
    assert "2 s" in error.message
    print(f"{engine}: given up after {took:.2f} s")
    assert not any(ENDLESS in lane.model_names for each in pool.connections for lane in each.lanes.values())
    await pool.assert_unharmed(engine)


async def test_a_plan_with_a_model_that_never_ends_is_given_up_in_time(
    impatient_of_engine: FaultyPool, engine: str
) -> None:
    pool = impatient_of_engine
    call = pool.stub.ExecutePlan(plan_request(engine, model=ENDLESS), timeout=60)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [event async for event in call]
    assert RemoteError.from_rpc(caught.value).reason == "STEP_TIMED_OUT"
    await pool.assert_unharmed(engine)


async def run_in_page(connection: BrowserConnection, script: str) -> None:
    await asyncio.gather(real(connection).page.evaluate(script), return_exceptions=True)


@pytest.mark.parametrize("script", [ENDLESS_LOOP, EATS_MEMORY], ids=["loops for ever", "eats memory"])
async def test_a_page_that_takes_everything_is_ended_and_replaced(pool: FaultyPool, engine: str, script: str) -> None:
    if script == EATS_MEMORY and ENGINES[engine].family == "firefox":
        pytest.skip("Firefox has no limit of its own: it would take the machine's memory")
    await pool.infer(engine, model=BUSY)
    victim = pool.connections[0]
    begin = time.monotonic()
    page = asyncio.ensure_future(run_in_page(victim, script))
    limit = pool.bound(FROZEN_PAGE_NOTICED if script == ENDLESS_LOOP else 60)
    await until(lambda: victim not in pool.connections, limit)
    print(f"{engine}: given up after {time.monotonic() - begin:.2f} s: {victim.lost_cause}")
    await pool.ready_or_leased(2, within_seconds=pool.bound(5))
    await page
