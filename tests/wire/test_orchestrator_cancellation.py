"""A caller that goes away stops the work in the pool."""

from __future__ import annotations

import asyncio

import pytest

from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import orchestrator_stack, workload


@pytest.mark.parametrize("behaviour", ["hold", "flood"])
async def test_cancelling_an_execution_cancels_the_pools_plan(behaviour: str) -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = behaviour
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        call = stack.client.ExecuteWithStrategy(request, timeout=60)
        async for event in call:
            if event.WhichOneof("event") == "pool_event":
                break
        call.cancel()
        async with asyncio.timeout(5):
            await stack.pool.plan_cancelled.wait()
        assert stack.validator.executions == []


@pytest.mark.parametrize("behaviour", ["hold", "flood"])
async def test_cancelling_a_comparison_cancels_the_pools_plan(behaviour: str) -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = behaviour
        request = orchestrator_pb2.CompareStrategiesRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        call = stack.client.CompareStrategies(request, timeout=60)
        async for event in call:
            if event.WhichOneof("event") == "pool_event":
                break
        call.cancel()
        async with asyncio.timeout(5):
            await stack.pool.plan_cancelled.wait()
        assert len(stack.pool.plan_requests) == 1


async def test_a_caller_that_stops_reading_can_still_cancel() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "flood"
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        call = stack.client.ExecuteWithStrategy(request, timeout=60)
        await anext(aiter(call))
        await stack.pool.lease_started.wait()
        await asyncio.sleep(0.5)  # long enough for flow control to stall every sender on the way
        call.cancel()
        async with asyncio.timeout(5):
            await stack.pool.plan_cancelled.wait()


async def test_a_callers_deadline_cancels_the_pools_plan() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "hold"
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        call = stack.client.ExecuteWithStrategy(request, timeout=0.5)
        with pytest.raises(Exception, match="Deadline"):
            async for _ in call:
                pass
        async with asyncio.timeout(5):
            await stack.pool.plan_cancelled.wait()
