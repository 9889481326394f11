"""Real browsers that are all taken: who waits is told in time, and who holds one without using it loses it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import grpc
import pytest

from corun.errors import BrowserLost, LeaseEnded
from corun.plumbing.status import RemoteError
from tests.faults.fault_models import QUICK
from tests.faults.faulty_pool import FaultyPool, infer_request, need
from tests.until import until

# The queue does not know engines.
pytestmark = pytest.mark.parametrize("engine", ["chromium-shell"], indirect=True, scope="session")

DEADLINE = 0.2
TOLD = 0.5
REPLACED = 5.0


async def forget_long_leases(pool: FaultyPool, engine: str) -> None:
    """Who would wait long is refused at once; short leases make it worth waiting."""
    for _ in range(20):
        async with pool.inside.pool.lease((need(engine),), purpose="a moment", exclusive=False):
            pass


async def refusal(pool: FaultyPool, engine: str, *, timeout: float) -> RemoteError:
    """The error that a run on a full pool ends with, which must come in time."""
    begin = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.stub.Infer(infer_request(engine, model=QUICK), timeout=timeout)
    assert time.monotonic() - begin < DEADLINE + TOLD * pool.pace
    return RemoteError.from_rpc(caught.value)


async def test_a_request_whose_deadline_passes_in_the_queue_is_never_granted(pool: FaultyPool, engine: str) -> None:
    await forget_long_leases(pool, engine)
    async with pool.all_held(engine):
        before = [each.lease_count for each in pool.connections]
        error = await refusal(pool, engine, timeout=DEADLINE)
        assert error.code == "DEADLINE_EXCEEDED"
        await until(lambda: not pool.inside.pool.queued_count, TOLD * pool.pace)
    await asyncio.sleep(DEADLINE)
    assert [each.lease_count for each in pool.connections] == before
    assert pool.inside.pool.leases == []


async def test_a_request_that_waits_longer_than_the_pool_allows_is_told_when_to_come_back(
    pool: FaultyPool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await forget_long_leases(pool, engine)
    inside = pool.inside.pool
    async with pool.all_held(engine):
        monkeypatch.setattr(inside, "limits", replace(inside.limits, queue_timeout_seconds=DEADLINE))
        before = [each.lease_count for each in pool.connections]
        error = await refusal(pool, engine, timeout=30)
        assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
        assert error.retry_after_seconds is not None
        assert 0 < error.retry_after_seconds <= DEADLINE
    assert [each.lease_count for each in pool.connections] == before


async def sleep_over_a_lease(pool: FaultyPool, engine: str) -> None:
    """Holds a browser and does nothing until it is taken away, then tries to go on."""
    async with pool.inside.pool.lease((need(engine),), purpose="a sleeper", exclusive=False) as lease:
        (held,) = lease.connections
        lane = await held.open_lane(platform="wasm", width=1)
        await until(lambda: held not in pool.connections, pool.bound(TOLD + DEADLINE))
        with pytest.raises(BrowserLost, match=r"did nothing for 0\.2 s"):
            await lane.echo({}, timeout=5)
        lease.renew(0.0)


async def test_a_holder_that_stops_loses_its_browser_to_a_new_one(
    pool: FaultyPool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, before = pool.inside.pool, pool.connections
    monkeypatch.setattr(inside, "limits", replace(inside.limits, lease_ttl_seconds=DEADLINE))
    with pytest.raises(LeaseEnded, match=r"did nothing for 0\.2 s"):
        await sleep_over_a_lease(pool, engine)
    monkeypatch.undo()
    await pool.ready_or_leased(2, within_seconds=pool.bound(REPLACED))
    assert len(set(before) & set(pool.connections)) == 1


async def test_a_queue_that_would_last_too_long_refuses_at_once_and_serves_those_who_wait(
    pool: FaultyPool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = pool.inside.pool
    monkeypatch.setattr(inside, "limits", replace(inside.limits, max_queued_count=1))
    async with pool.all_held(engine):
        waits = asyncio.ensure_future(pool.infer(engine))
        await until(lambda: inside.queued_count == 1, TOLD * pool.pace)
        error = await refusal(pool, engine, timeout=30)
        assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
        assert error.retry_after_seconds is not None
    assert await waits == engine
