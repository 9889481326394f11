"""Every core is busy with something else: lanes come up all the same, each time."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

from tests.faults.faulty_pool import FaultyPool, need, real
from tests.load import BUSY, program

ROUNDS = 8
LANES = 2
COMES_UP = 20.0


async def test_lanes_with_threads_come_up_beside_programs_that_take_every_core(pool: FaultyPool, engine: str) -> None:
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(
            pool.inside.pool.lease((need(engine),), purpose="lanes beside others", exclusive=True)
        )
        connection = real(lease.connections[0])
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(program(BUSY))
        for _ in range(ROUNDS):
            lease.renew(60)
            async with asyncio.timeout(pool.bound(COMES_UP)):
                lanes = await asyncio.gather(*(connection.open_lane(platform="wasm", width=2) for _ in range(LANES)))
            assert all(lane.wasm_bytes > 0 for lane in lanes)
            await asyncio.gather(*(connection.close_lane(lane.lane_id) for lane in lanes))
