"""Clients that leave at any moment, in any way: what they held is free at once, and the next run works."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.faults.fault_models import BUSY, ENDLESS
from tests.faults.faulty_pool import FaultyPool, infer_request, plan_request
from tests.until import until

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

FREE = 1.0
REACHED = 20.0
SEED = 20_240_229

Call = grpc.aio.UnaryUnaryCall[Any, Any] | grpc.aio.UnaryStreamCall[Any, Any]
Start = Callable[["ResourcePoolServiceAsyncStub", str, float], Call]
Leave = Callable[[Call, grpc.aio.Channel], Awaitable[object]]


def endless_infer(stub: ResourcePoolServiceAsyncStub, engine: str, timeout: float) -> Call:
    """A run that is never done, so that whatever ends it is the client's going."""
    return stub.Infer(infer_request(engine, model=ENDLESS), timeout=timeout)


def long_plan(stub: ResourcePoolServiceAsyncStub, engine: str, timeout: float) -> Call:
    """More iterations than anybody waits for."""
    return stub.ExecutePlan(plan_request(engine, model=BUSY, iterations=1000), timeout=timeout)


async def cancel(call: Call, channel: grpc.aio.Channel) -> None:
    """The client changes its mind."""
    assert call.cancel()


async def close_channel(call: Call, channel: grpc.aio.Channel) -> None:
    """The client ends."""
    await channel.close()


WORK: dict[str, tuple[Start, str]] = {"infer": (endless_infer, ENDLESS), "plan": (long_plan, BUSY)}
LEAVE: dict[str, Leave] = {"cancels": cancel, "closes its channel": close_channel}


async def outcome(call: Call) -> BaseException | None:
    """How a call ended for its client: an error, or None."""

    async def to_the_end() -> None:
        if isinstance(call, grpc.aio.UnaryStreamCall):
            async for _ in call:
                pass
        else:
            await call

    (end,) = await asyncio.gather(to_the_end(), return_exceptions=True)
    return end


@asynccontextmanager
async def unloaded(pool: FaultyPool, model: str) -> AsyncIterator[None]:
    """No lane holds the model, so that there is a lane to open and a file to load."""
    if any(model in lane.model_names for each in pool.connections for lane in each.lanes.values()):
        await pool.stub.UnloadModel(messages.UnloadModelRequest(model_name=model))
    yield


def is_queued(pool: FaultyPool) -> bool:
    """The client waits for a browser."""
    return pool.inside.pool.queued_count == 1


def is_served(pool: FaultyPool) -> bool:
    """The client has a browser; how far it has got there is left to chance."""
    return bool(pool.inside.pool.leases)


def is_loaded(pool: FaultyPool, model: str) -> bool:
    """The client's browser holds the model, and is about to run it or does."""
    leased = [each for lease in pool.inside.pool.leases for each in lease.connections]
    return any(model in lane.model_names for each in leased for lane in each.lanes.values())


def is_free(pool: FaultyPool) -> bool:
    """Nobody holds a browser, nobody waits for one."""
    return not pool.inside.pool.leases and not pool.inside.pool.queued_count


async def left_at(
    pool: FaultyPool,
    engine: str,
    start: Start,
    leave: Leave,
    *,
    reached: Callable[[], bool],
    pause: float,
    free: Callable[[], bool],
) -> None:
    """A client of its own starts a call, and leaves a moment after something was reached."""
    async with open_channel(pool.address) as channel:
        call = start(ResourcePoolServiceStub(channel), engine, 60)
        end = asyncio.ensure_future(outcome(call))
        await until(reached, pool.bound(REACHED))
        await asyncio.sleep(pause)
        assert not end.done()
        await leave(call, channel)
        took = await until(free, pool.bound(FREE))
        assert isinstance(await end, asyncio.CancelledError)
    print(f"{engine}: free after {took:.2f} s")


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())
@pytest.mark.parametrize(("start", "model"), WORK.values(), ids=WORK.keys())
async def test_a_client_that_leaves_while_it_waits_prepares_or_runs_holds_nothing_a_second_later(
    pool: FaultyPool, engine: str, start: Start, model: str, leave: Leave
) -> None:
    pauses = random.Random(f"{SEED} {engine} {model} {leave}")

    async with pool.all_held(engine):
        leases = [each.lease_count for each in pool.connections]
        await left_at(
            pool,
            engine,
            start,
            leave,
            reached=lambda: is_queued(pool),
            pause=pauses.uniform(0, 0.1),
            free=lambda: not pool.inside.pool.queued_count,
        )
    assert [each.lease_count for each in pool.connections] == leases

    async with unloaded(pool, model):
        await left_at(
            pool,
            engine,
            start,
            leave,
            reached=lambda: is_served(pool),
            pause=pauses.uniform(0, 0.1),
            free=lambda: is_free(pool),
        )
    assert await pool.infer(engine) == engine

    await left_at(
        pool,
        engine,
        start,
        leave,
        reached=lambda: is_loaded(pool, model),
        pause=pauses.uniform(0, 0.5),
        free=lambda: is_free(pool),
    )


@pytest.mark.parametrize(("start", "model"), WORK.values(), ids=WORK.keys())
async def test_a_deadline_that_expires_at_any_moment_leaves_nothing_held_a_second_later(
    pool: FaultyPool, engine: str, start: Start, model: str
) -> None:
    moments = random.Random(f"{SEED} {engine} {model}")

    async def expires(seconds: float) -> None:
        begin = time.monotonic()
        end = await outcome(start(pool.stub, engine, seconds))
        assert isinstance(end, grpc.aio.AioRpcError)
        assert end.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begin < seconds + pool.bound(FREE)
        took = await until(lambda: is_free(pool), pool.bound(FREE))
        print(f"{engine}: deadline of {seconds:.2f} s, free {took:.2f} s later")

    for longest in (0.1, 0.5, 1.5):
        async with unloaded(pool, model):
            await expires(moments.uniform(0.01, longest))
        assert await pool.infer(engine) == engine
