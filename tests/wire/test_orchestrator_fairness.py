"""Several clients at once: fair shares of the browsers, limits, and work that really overlaps.

`CORUN_TEST_CLIENT_SECONDS` makes the first test as long as it says; by default it takes a few seconds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, another_client, orchestrator_stack, workload

SECONDS = float(os.environ.get("CORUN_TEST_CLIENT_SECONDS", "5"))


def request(client_id: str = "") -> orchestrator_pb2.ExecuteWithStrategyRequest:
    return orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM, client_id=client_id
    )


async def run(stack: OrchestratorStack, client_id: str = "") -> orchestrator_pb2.ExecutionResult:
    events = [event async for event in stack.client.ExecuteWithStrategy(request(client_id), timeout=60)]
    assert events[-1].HasField("completed"), events[-1]
    return events[-1].completed


async def test_clients_that_want_different_amounts_get_equal_shares_and_none_is_lost_or_stuck() -> None:
    lanes = {"modest": 8, "eager": 12, "greedy": 16}  # of each some always wait, or its share would not be its due
    results: dict[str, list[orchestrator_pb2.ExecutionResult]] = {name: [] for name in lanes}
    in_time = dict.fromkeys(lanes, 0)
    async with orchestrator_stack(validation_interval=5) as stack:
        stack.pool.max_connections, stack.pool.plan_seconds = 2, 0.1
        await run(stack)  # says how many browsers there are
        ends_at = time.monotonic() + SECONDS

        async def work(name: str) -> None:
            while time.monotonic() < ends_at:
                results[name].append(await run(stack, name))
                in_time[name] += time.monotonic() < ends_at

        await asyncio.gather(*(work(name) for name, count in lanes.items() for _ in range(count)))
        assert (stack.pool.lease_count, stack.pool.most_leases) == (0, 2)
    recorded = {each.execution_id for each in stack.validator.executions}
    done = {each.execution_id for some in results.values() for each in some}
    waits = [each.queue_time_ms for some in results.values() for each in some]
    p99 = statistics.quantiles(waits, n=100, method="inclusive")[98]
    print(f"{SECONDS:g} s, 2 browsers: {in_time}; waiting p50 {statistics.median(waits):.0f} ms, p99 {p99:.0f} ms")
    assert max(in_time.values()) - min(in_time.values()) <= 0.2 * statistics.mean(in_time.values())
    assert done <= recorded
    assert len(recorded) == len(waits) + 1


async def test_executions_overlap_on_as_many_browsers_as_there_are() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.max_connections = 3
        await run(stack)
        stack.pool.plan_seconds = 0.2
        begin = time.monotonic()
        await asyncio.gather(*(run(stack) for _ in range(6)))
        took = time.monotonic() - begin
        assert stack.pool.most_leases == 3
    assert took < 6 * 0.2  # two rounds of three


async def test_a_newcomer_does_not_wait_behind_everything_that_another_has_sent() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.plan_seconds = 0.05
        crowd = [asyncio.ensure_future(run(stack, "crowd")) for _ in range(20)]
        await asyncio.sleep(0.2)
        newcomer = await run(stack, "newcomer")
        left = sum(not each.done() for each in crowd)
        await asyncio.gather(*crowd)
    assert left >= 10
    assert newcomer.queue_time_ms < 300


async def test_a_client_with_too_many_is_refused_with_advice_and_others_are_not() -> None:
    async with orchestrator_stack(max_executions_per_client=2) as stack:
        stack.pool.behaviour = "wait"
        held = [asyncio.ensure_future(run(stack, "one")) for _ in range(2)]
        await asyncio.sleep(0.3)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await run(stack, "one")
        other = asyncio.ensure_future(run(stack, "another"))
        await asyncio.sleep(0.1)
        stack.pool.released.set()
        await asyncio.gather(*held, other)
        await run(stack, "one")
    error = RemoteError.from_rpc(raised.value)
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_EXECUTIONS")
    assert error.retry_after_seconds is not None
    assert error.retry_after_seconds > 0
    assert error.metadata == {"limit": "2"}


async def test_without_a_name_every_connection_is_a_client_of_its_own() -> None:
    async with orchestrator_stack(max_executions_per_client=1) as stack:
        stack.pool.behaviour = "wait"
        held = asyncio.ensure_future(run(stack))
        await stack.pool.lease_started.wait()
        async with another_client(stack) as client:
            second = client.ExecuteWithStrategy(request(), timeout=20)
            assert (await anext(aiter(second))).HasField("accepted")
            with pytest.raises(grpc.aio.AioRpcError, match="you"):
                await anext(aiter(client.ExecuteWithStrategy(request(), timeout=20)))
            second.cancel()
        stack.pool.released.set()
        await held


async def test_all_clients_together_are_bounded_too() -> None:
    async with orchestrator_stack(max_executions=3) as stack:
        stack.pool.behaviour = "wait"
        held = [asyncio.ensure_future(run(stack, f"client-{number}")) for number in range(3)]
        await asyncio.sleep(0.3)
        with pytest.raises(grpc.aio.AioRpcError, match="all clients together have 3 executions"):
            await run(stack, "client-4")
        stack.pool.released.set()
        await asyncio.gather(*held)
