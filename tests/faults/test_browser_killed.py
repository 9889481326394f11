"""Browsers that are killed or frozen, whole or in part, while they work: a retry elsewhere, a new browser, no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import psutil
import pytest

from corun.resource_pool.contract import BrowserConnection
from corun.v1 import resource_pool_service_pb2 as messages
from tests.faults import damage
from tests.faults.fault_models import BUSY
from tests.faults.faulty_pool import FaultyPool, need, plan_request
from tests.until import until

# Bounds on two idle cores, seconds.
NOTICED_WHEN_KILLED = 1.0
NOTICED_WHEN_FROZEN = 10.0
REPLACED = 5.0

Targets = Callable[[BrowserConnection], list[psutil.Process]]
Work = grpc.aio.UnaryStreamCall[Any, messages.ExecutePlanResponse]


async def running_plan(pool: FaultyPool, engine: str, *, iterations: int) -> tuple[Work, BrowserConnection]:
    """A plan of BUSY that has begun its measured runs, and the browser that carries it out."""
    call = pool.stub.ExecutePlan(plan_request(engine, model=BUSY, iterations=iterations), timeout=180)
    connection_id = ""
    async for event in call:
        if event.WhichOneof("event") == "leased":
            connection_id = event.leased.connection_id
        if event.WhichOneof("event") == "run_finished":
            break
    return call, pool.inside.pool.fleet.connection(connection_id)


async def gone(pool: FaultyPool, victim: BrowserConnection, *, within_seconds: float) -> float:
    """Waits until the pool has given a browser up; gives how long it took."""
    return await until(lambda: victim not in pool.connections, within_seconds)


async def assert_one_retry(
    pool: FaultyPool, engine: str, harm: Callable[[BrowserConnection], None], *, noticed: float, retries: set[int]
) -> None:
    lost_before = pool.inside.pool.fleet.lost_count
    call, victim = await running_plan(pool, engine, iterations=30)
    (other,) = [each for each in pool.connections if each is not victim]
    await pool.status()
    harm(victim)
    took = await gone(pool, victim, within_seconds=pool.bound(noticed))
    replaced = asyncio.ensure_future(pool.ready_or_leased(2, within_seconds=pool.bound(REPLACED)))
    rest = [event async for event in call]
    print(f"{engine}: noticed after {took:.2f} s, replaced {await replaced:.2f} s later")
    kinds = [event.WhichOneof("event") for event in rest]
    assert kinds[-1] == "measured"
    assert kinds.count("retried") == rest[-1].measured.retry_count
    assert rest[-1].measured.retry_count in retries
    assert {run.engine for run in rest[-1].measured.runs} == {engine}
    assert pool.inside.pool.fleet.lost_count == lost_before + 1
    assert other in pool.connections


KILLED: dict[str, Targets] = {"renderer": damage.renderers, "main process": damage.main_of}
FROZEN: dict[str, Targets] = {"every process": damage.whole, "main process": damage.main_of, "page": damage.renderers}


@pytest.mark.parametrize("targets", KILLED.values(), ids=KILLED.keys())
async def test_a_browser_killed_in_the_middle_of_a_plan_costs_one_retry(
    pool: FaultyPool, engine: str, targets: Targets
) -> None:
    await assert_one_retry(
        pool, engine, lambda victim: damage.kill(targets(victim)), noticed=NOTICED_WHEN_KILLED, retries={1}
    )


@pytest.mark.parametrize("targets", FROZEN.values(), ids=FROZEN.keys())
async def test_a_browser_frozen_in_the_middle_of_a_plan_is_killed_and_costs_one_retry(
    pool: FaultyPool, engine: str, targets: Targets
) -> None:
    # Lanes do not need the main process: a plan may be done before anybody notices.
    retries = {0, 1} if targets is damage.main_of else {1}
    await assert_one_retry(
        pool, engine, lambda victim: damage.freeze(targets(victim)), noticed=NOTICED_WHEN_FROZEN, retries=retries
    )


async def test_a_killed_browser_leaves_the_lease_on_another_alone(pool: FaultyPool, engine: str) -> None:
    async with pool.inside.pool.lease((need(engine),), purpose="a bystander", exclusive=False) as lease:
        (bystander,) = lease.connections
        lane = await bystander.open_lane(platform="wasm", width=1)
        (victim,) = [each for each in pool.connections if each is not bystander]
        damage.kill(damage.main_of(victim))
        await gone(pool, victim, within_seconds=pool.bound(NOTICED_WHEN_KILLED))
        await pool.ready_or_leased(2, within_seconds=pool.bound(REPLACED))
        assert await lane.echo({}, timeout=5) == {}
        lease.renew(0.0)
        await bystander.close_lane(lane.lane_id)
