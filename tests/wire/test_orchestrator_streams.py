"""Streams that go on when the client that began them is gone: re-attachment, windows, deadlines, signs of life."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf import duration_pb2

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, another_client, orchestrator_stack, workload
from tests.until import until

STATES = orchestrator_pb2.ExecutionState


def request(*, window: float = 0.0, request_id: str = "") -> orchestrator_pb2.ExecuteWithStrategyRequest:
    asked = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM, request_id=request_id
    )
    if window:
        asked.reattach_window.CopyFrom(duration_pb2.Duration(nanos=int(window % 1 * 1e9), seconds=int(window)))
    return asked


async def begun(stack: OrchestratorStack, **given: float) -> tuple[grpc.aio.UnaryStreamCall, str, int]:  # type: ignore[type-arg]
    """A call whose plan holds a browser, its execution, and the last sequence that it has seen."""
    call = stack.client.ExecuteWithStrategy(request(**given), timeout=60)  # type: ignore[arg-type]
    execution_id = ""
    async for event in call:
        execution_id = execution_id or event.accepted.execution_id
        if event.WhichOneof("event") == "pool_event":
            return call, execution_id, event.sequence
    raise AssertionError("it ended before a browser was leased")


async def watched(
    stack: OrchestratorStack, execution_id: str, after: int = 0
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    """What another connection sees."""
    asked = orchestrator_pb2.WatchExecutionRequest(execution_id=execution_id, after_sequence=after)
    async with another_client(stack) as client:
        return [event.execution async for event in client.WatchExecution(asked, timeout=20)]


async def state_of(stack: OrchestratorStack, execution_id: str) -> STATES.ValueType:
    listed = await stack.client.ListExecutions(orchestrator_pb2.ListExecutionsRequest(), timeout=20)
    return next(each.state for each in listed.executions if each.execution_id == execution_id)


async def refusal(stack: OrchestratorStack, execution_id: str, after: int = 0) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watched(stack, execution_id, after)
    return RemoteError.from_rpc(raised.value)


async def test_another_connection_sees_the_same_events_after_any_sequence() -> None:
    async with orchestrator_stack() as stack:
        events = [event async for event in stack.client.ExecuteWithStrategy(request(), timeout=20)]
        identifier = events[0].accepted.execution_id
        for after in range(len(events) + 1):
            assert await watched(stack, identifier, after) == events[after:]


async def test_an_execution_outlives_its_client_within_the_window_and_can_be_watched_again() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "wait"
        call, identifier, seen = await begun(stack, window=20.0)
        call.cancel()
        await asyncio.sleep(0.2)
        assert stack.pool.lease_count == 1
        watching = asyncio.ensure_future(watched(stack, identifier, seen))
        await asyncio.sleep(0.1)
        stack.pool.released.set()
        events = await watching
        assert stack.pool.lease_count == 0
    assert [event.sequence for event in events] == list(range(seen + 1, seen + len(events) + 1))
    assert events[-1].completed.recorded or events[-1].completed.record_queued


async def test_an_execution_that_nobody_watches_is_stopped_when_its_window_is_over() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "hold"
        call, identifier, _ = await begun(stack, window=0.3)
        call.cancel()
        await asyncio.sleep(0.1)
        assert await state_of(stack, identifier) == STATES.EXECUTION_STATE_RUNNING
        async with asyncio.timeout(5):
            await stack.pool.plan_cancelled.wait()
        await asyncio.sleep(0.05)
        assert await state_of(stack, identifier) == STATES.EXECUTION_STATE_CANCELLED
        failure = RemoteError((await watched(stack, identifier))[-1].failed)
    assert (failure.code, failure.reason) == ("CANCELLED", "EXECUTION_CANCELLED")
    assert failure.metadata["cause"] == "nobody watches it any longer"


async def test_who_comes_back_in_time_stops_the_clock() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "wait"
        call, identifier, seen = await begun(stack, window=0.4)
        call.cancel()
        await asyncio.sleep(0.2)
        watching = asyncio.ensure_future(watched(stack, identifier, seen))
        await asyncio.sleep(0.6)
        stack.pool.released.set()
        assert (await watching)[-1].HasField("completed")


async def test_a_second_watcher_keeps_it_going_when_the_first_client_leaves() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "wait"
        call, identifier, _ = await begun(stack)
        watching = asyncio.ensure_future(watched(stack, identifier))
        await asyncio.sleep(0.2)
        call.cancel()
        await asyncio.sleep(0.2)
        stack.pool.released.set()
        assert (await watching)[-1].HasField("completed")


async def test_the_deadline_of_the_first_call_is_kept_whoever_watches() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "hold"
        call = stack.client.ExecuteWithStrategy(request(window=30.0), timeout=0.6)
        identifier = (await anext(aiter(call))).accepted.execution_id
        events = await watched(stack, identifier)
        await until(lambda: stack.pool.lease_count == 0)
        assert await state_of(stack, identifier) == STATES.EXECUTION_STATE_CANCELLED
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("DEADLINE_EXCEEDED", "EXECUTION_DEADLINE")


async def test_an_unknown_execution_is_not_found_and_a_sequence_beyond_the_last_is_refused() -> None:
    async with orchestrator_stack() as stack:
        assert (await refusal(stack, "nobody")).reason == "EXECUTION_NOT_FOUND"
        events = [event async for event in stack.client.ExecuteWithStrategy(request(), timeout=20)]
        error = await refusal(stack, events[0].accepted.execution_id, len(events) + 1)
    assert (error.code, [each.field for each in error.violations]) == ("INVALID_ARGUMENT", ["after_sequence"])


async def test_a_stream_in_which_nothing_happens_says_that_it_is_alive() -> None:
    async with orchestrator_stack(heartbeat_seconds=0.1) as stack:
        stack.pool.list_seconds = 0.35  # before it is accepted
        stack.pool.plan_seconds = 0.35  # and while it runs
        events = [event async for event in stack.client.ExecuteWithStrategy(request(), timeout=20)]
        kept = await watched(stack, next(each for each in events if each.HasField("accepted")).accepted.execution_id)
    beats = [event for event in events if event.HasField("heartbeat")]
    others = [event for event in events if not event.HasField("heartbeat")]
    assert events[0].HasField("heartbeat")
    assert sum(event.sequence == 0 for event in beats) >= 2
    assert sum(event.sequence > 1 for event in beats) >= 2
    assert [event.sequence for event in others] == list(range(1, len(others) + 1))
    assert kept == others  # heartbeats are not kept
    assert beats[-1].heartbeat.elapsed.ToMilliseconds() > 600


async def test_a_refusal_after_heartbeats_is_still_a_status() -> None:
    async with orchestrator_stack(heartbeat_seconds=0.1) as stack:
        stack.pool.list_seconds = 0.3
        asked = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("no-such-model"), platform=core_pb2.PLATFORM_WASM
        )
        beats: list[orchestrator_pb2.ExecuteWithStrategyResponse] = []

        async def read() -> None:
            async for event in stack.client.ExecuteWithStrategy(asked, timeout=20):
                beats.append(event)  # noqa: PERF401  (kept although the loop ends with an error)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await read()
    assert RemoteError.from_rpc(raised.value).reason == "UNKNOWN_MODEL"
    assert all(event.HasField("heartbeat") for event in beats)
    assert beats


async def test_a_flood_of_runs_fills_neither_the_stream_nor_the_disk() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "flood"
        call = stack.client.ExecuteWithStrategy(request(), timeout=60)
        count, identifier = 0, ""
        async for event in call:
            identifier = identifier or event.accepted.execution_id
            count += event.WhichOneof("event") == "pool_event"
            if count == 2001:  # the lease, and 2,000 runs
                break
        await asyncio.sleep(0.3)
        cancelled = await stack.client.CancelExecution(
            orchestrator_pb2.CancelExecutionRequest(execution_id=identifier), timeout=20
        )
    assert cancelled.execution.last_sequence == 2004  # accepted, chosen and failed


async def test_executions_are_listed_by_state_page_by_page_the_newest_first() -> None:
    async with orchestrator_stack() as stack:
        ids = []
        for _ in range(5):
            events = [event async for event in stack.client.ExecuteWithStrategy(request(), timeout=20)]
            ids.append(events[0].accepted.execution_id)
        found, token, pages = [], "", 0
        while pages == 0 or token:
            page = await stack.client.ListExecutions(
                orchestrator_pb2.ListExecutionsRequest(page_size=2, page_token=token), timeout=20
            )
            found += [each.execution_id for each in page.executions]
            token, pages = page.next_page_token, pages + 1
        running = await stack.client.ListExecutions(
            orchestrator_pb2.ListExecutionsRequest(state=STATES.EXECUTION_STATE_RUNNING), timeout=20
        )
        summary = page.executions[-1]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stack.client.ListExecutions(orchestrator_pb2.ListExecutionsRequest(page_token="x"), timeout=20)
    assert (found, pages) == (ids[::-1], 3)
    assert not running.executions
    assert (summary.kind, summary.state) == (
        orchestrator_pb2.EXECUTION_KIND_EXECUTION,
        STATES.EXECUTION_STATE_COMPLETED,
    )
    assert [each.model_name for each in summary.workload.models] == ["fake-text"]
    assert summary.last_sequence == len(events)
    assert summary.end_time.ToNanoseconds() >= summary.create_time.ToNanoseconds()
    assert [each.field for each in RemoteError.from_rpc(raised.value).violations] == ["page_token"]
