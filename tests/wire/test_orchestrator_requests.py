"""A request_id makes a request happen once: for its repeats, from any client, and after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import (
    OrchestratorStack,
    another_client,
    fake_peers,
    orchestrator_stack,
    orchestrator_with,
    workload,
)


def request(request_id: str, *names: str, **given: Any) -> orchestrator_pb2.ExecuteWithStrategyRequest:
    return orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload(*(names or ("fake-text",))), platform=core_pb2.PLATFORM_WASM, request_id=request_id, **given
    )


async def run(
    stack: OrchestratorStack, asked: orchestrator_pb2.ExecuteWithStrategyRequest
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    async with another_client(stack) as client:
        return [event async for event in client.ExecuteWithStrategy(asked, timeout=20)]


async def refusal(stack: OrchestratorStack, asked: orchestrator_pb2.ExecuteWithStrategyRequest) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await run(stack, asked)
    return RemoteError.from_rpc(raised.value)


async def test_a_repeat_gets_the_first_ones_events_and_runs_nothing() -> None:
    async with orchestrator_stack() as stack:
        first, second = await run(stack, request("one")), await run(stack, request("one"))
        assert len(stack.pool.plan_requests) == 1
        third = await run(stack, request("two"))
        assert len(stack.pool.plan_requests) == 2
    assert first == second
    assert third[0].accepted.execution_id != first[0].accepted.execution_id


async def test_two_clients_that_come_at_once_share_one_execution() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.list_seconds, stack.pool.plan_seconds = 0.1, 0.1
        streams = await asyncio.gather(*(run(stack, request("one", client_id=f"c{n}")) for n in range(5)))
        assert len(stack.pool.plan_requests) == 1
    assert len(stack.validator.executions) == 1
    assert all(events == streams[0] for events in streams)


async def test_a_repeat_while_it_runs_sees_it_from_its_beginning() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "wait"
        first = asyncio.ensure_future(run(stack, request("one")))
        await stack.pool.lease_started.wait()
        second = asyncio.ensure_future(run(stack, request("one")))
        await asyncio.sleep(0.1)
        stack.pool.released.set()
        assert await first == await second


async def test_the_same_id_for_something_else_is_a_conflict() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request("one"))
        error = await refusal(stack, request("one", "fake-vision"))
        compare = orchestrator_pb2.CompareStrategiesRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM, request_id="one"
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(aiter(stack.client.CompareStrategies(compare, timeout=20)))
    assert (error.code, error.reason) == ("ALREADY_EXISTS", "REQUEST_CONFLICT")
    assert error.metadata == {"request_id": "one", "execution_id": events[0].accepted.execution_id}
    assert RemoteError.from_rpc(raised.value).reason == "REQUEST_CONFLICT"


async def test_a_request_that_was_refused_has_used_up_nothing() -> None:
    async with orchestrator_stack() as stack:
        assert (await refusal(stack, request("one", "no-such-model"))).reason == "UNKNOWN_MODEL"
        assert (await run(stack, request("one")))[-1].HasField("completed")


async def test_an_execution_that_failed_is_not_run_again_either() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "stop"
        first = await run(stack, request("one"))
        stack.pool.behaviour = "answer"
        assert first[-1].HasField("failed")
        assert await run(stack, request("one")) == first


async def test_a_repeat_after_a_restart_gets_the_events_of_before(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            first = await run(stack, request("one"))
        async with orchestrator_with(peers, tmp_path) as stack:
            assert await run(stack, request("one")) == first
            error = await refusal(stack, request("one", "fake-vision"))
        assert len(peers.pool.plan_requests) == 1
    assert error.reason == "REQUEST_CONFLICT"
