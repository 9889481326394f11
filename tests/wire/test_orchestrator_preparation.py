"""What the orchestrator asks of the pool before an execution, and what it does about a model that changes then."""

from __future__ import annotations

import grpc
import pytest

from corun.errors import UnknownModel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload
from tests.fakes.served_fakes import at


async def execute(stack: OrchestratorStack, *names: str, batch_size: int = 2) -> orchestrator_pb2.ExecutionResult:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload(*names, batch_size=batch_size), platform=core_pb2.PLATFORM_WASM
    )
    events = [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]
    return events[-1].completed


async def test_what_the_pool_has_just_said_of_the_same_models_is_not_asked_again() -> None:
    async with orchestrator_stack() as stack:
        first = await execute(stack, "fake-text", batch_size=2)
        second = await execute(stack, "fake-text", batch_size=3)
        assert len(stack.pool.list_requests) == len(stack.pool.capability_requests) == 1
        await execute(stack, "fake-text", "fake-vision")
        assert len(stack.pool.list_requests) == len(stack.pool.capability_requests) == 2
    assert first.models == second.models
    assert [run.batch_size for run in second.measured.runs] == [3]


async def test_it_is_asked_every_time_where_the_settings_say_so() -> None:
    async with orchestrator_stack(preparation_reuse_seconds=0) as stack:
        for _ in range(2):
            await execute(stack, "fake-text")
        assert len(stack.pool.list_requests) == len(stack.pool.capability_requests) == 2


async def test_a_model_that_changed_since_is_told_of_as_it_ran_with_a_warning() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.models["fake-text"].sha256 = "a" * 64
        before = await execute(stack, "fake-text", "fake-vision")
        stack.pool.models["fake-text"].sha256 = "b" * 64
        changed = await execute(stack, "fake-text", "fake-vision")
        after = await execute(stack, "fake-text", "fake-vision")
    assert (before.models[0].sha256, list(before.warnings)) == ("a" * 64, [])
    assert changed.models[0].sha256 == after.models[0].sha256 == "b" * 64
    assert list(changed.warnings) == ["fake-text was changed just before it ran: predicted for the file before"]
    assert not after.warnings


async def test_it_is_asked_again_after_a_plan_was_refused() -> None:
    async with orchestrator_stack() as stack:
        await execute(stack, "fake-text")
        stack.pool.refusals.append(UnknownModel("fake-text", []))
        await execute(stack, "fake-text")
        await execute(stack, "fake-text")
        assert len(stack.pool.list_requests) == 2


async def test_nothing_is_taken_for_prepared_once_the_pool_is_gone() -> None:
    target = dead_target()
    async with orchestrator_stack(resource_pool_target=target) as stack:
        async with at(target, stack.pool):
            await execute(stack, "fake-text")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await execute(stack, "fake-text")
    assert RemoteError.from_rpc(raised.value).reason == "PEER_UNAVAILABLE"
