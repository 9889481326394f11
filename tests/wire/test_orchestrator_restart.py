"""What the next orchestrator makes of what the last one left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from corun.errors import DatabaseLocked, InvalidField
from corun.orchestrator.store.opening import FILE_NAME
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, fake_peers, orchestrator_with, workload
from tests.until import until

STATES = orchestrator_pb2.ExecutionState


def request() -> orchestrator_pb2.ExecuteWithStrategyRequest:
    return orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM)


async def run(stack: OrchestratorStack) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    return [event async for event in stack.client.ExecuteWithStrategy(request(), timeout=20)]


async def watched(stack: OrchestratorStack, execution_id: str) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    asked = orchestrator_pb2.WatchExecutionRequest(execution_id=execution_id)
    return [event.execution async for event in stack.client.WatchExecution(asked, timeout=20)]


async def test_an_execution_under_way_when_it_ends_is_reported_interrupted(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            peers.pool.behaviour = "hold"
            running = asyncio.ensure_future(run(stack))
            await peers.pool.lease_started.wait()
        seen = await running  # the server ends the stream before it goes
        async with asyncio.timeout(5):
            await peers.pool.plan_cancelled.wait()
        async with orchestrator_with(peers, tmp_path) as stack:
            events = await watched(stack, seen[0].accepted.execution_id)
            listed = await stack.client.ListExecutions(orchestrator_pb2.ListExecutionsRequest(), timeout=20)
    assert events == seen
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "EXECUTION_INTERRUPTED")
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [each.state for each in listed.executions] == [STATES.EXECUTION_STATE_INTERRUPTED]


async def test_an_execution_that_begins_while_it_ends_is_interrupted_too(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        peers.pool.behaviour = "hold"
        peers.pool.list_seconds = 0.3
        async with asyncio.timeout(10):
            async with orchestrator_with(peers, tmp_path) as stack:
                running = asyncio.ensure_future(run(stack))
                await until(lambda: bool(peers.pool.list_requests))
            seen = await running
        failure = RemoteError(seen[-1].failed)
        assert (failure.code, failure.reason) == ("UNAVAILABLE", "EXECUTION_INTERRUPTED")
        async with orchestrator_with(peers, tmp_path) as stack:
            assert await watched(stack, seen[0].accepted.execution_id) == seen
        await until(lambda: peers.pool.lease_count == 0)


async def test_event_logs_survive(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            events = await run(stack)
        async with orchestrator_with(peers, tmp_path) as stack:
            assert await watched(stack, events[0].accepted.execution_id) == events


async def test_every_nth_execution_is_validated_also_across_a_restart(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        for _ in range(2):
            async with orchestrator_with(peers, tmp_path, validation_interval=3) as stack:
                for _ in range(2):
                    await run(stack)
        assert len(peers.validator.executions) == 4
        assert [each.execution for each in peers.validator.validations] == [peers.validator.executions[2]]


async def test_two_orchestrators_do_not_share_a_folder(tmp_path: Path) -> None:
    async with fake_peers() as peers, orchestrator_with(peers, tmp_path) as stack:
        with pytest.raises(DatabaseLocked, match="another orchestrator"):
            await orchestrator_with(peers, tmp_path).__aenter__()
        assert (await run(stack))[-1].HasField("completed")


@pytest.mark.parametrize("damage", ["rubbish", "cut", "overwritten"])
async def test_a_damaged_file_is_set_aside_and_the_service_starts(tmp_path: Path, damage: str) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            events = await run(stack)
        path = tmp_path / FILE_NAME
        content = path.read_bytes()
        path.write_bytes(
            {
                "rubbish": b"not a database" * 1000,
                "cut": content[: len(content) // 2],
                "overwritten": content[:4096] + b"\xff" * (len(content) - 4096),
            }[damage]
        )
        async with orchestrator_with(peers, tmp_path) as stack:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await watched(stack, events[0].accepted.execution_id)
            again = (await run(stack))[-1].completed
            assert again.recorded or again.record_queued
    assert RemoteError.from_rpc(raised.value).reason == "EXECUTION_NOT_FOUND"
    assert path.with_name(f"{FILE_NAME}.damaged-1").exists()


async def test_executions_that_ended_long_ago_or_fill_the_disk_are_forgotten(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            old = await run(stack)
        async with orchestrator_with(peers, tmp_path, log_max_mb=1e-9) as stack:
            await asyncio.sleep(0.2)
            listed = await stack.client.ListExecutions(orchestrator_pb2.ListExecutionsRequest(), timeout=20)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await watched(stack, old[0].accepted.execution_id)
    assert not listed.executions
    assert RemoteError.from_rpc(raised.value).reason == "EXECUTION_NOT_FOUND"


def test_a_setting_that_makes_no_sense_is_refused() -> None:
    from corun.embedded import settings_of

    with pytest.raises(InvalidField, match="log_max_age_days"):
        settings_of("orchestrator", log_max_age_days=-1)
