"""CancelExecution at every event: one terminal event, nothing held, and on record exactly what completed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from corun.orchestrator.store.executions import ExecutionLog
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, another_client, orchestrator_stack, workload
from tests.until import until

STATES = orchestrator_pb2.ExecutionState
SUGGESTIONS = [predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=2, lane_width=4)]
EXECUTION_KINDS = [
    "accepted",
    "profiled",
    "chosen",
    "leased",
    "model_loaded",
    "iteration_finished",
    "measured",
    "validated",
    "completed",
]
COMPARISON_KINDS = ["accepted", "profiled", "chosen", "leased", "iteration_finished", "measured", "strategy_measured"]


def kind_of(event: orchestrator_pb2.ExecuteWithStrategyResponse | orchestrator_pb2.CompareStrategiesResponse) -> str:
    kind = event.WhichOneof("event") or ""
    if kind != "pool_event":
        return kind
    pool_event = event.pool_event
    inner = pool_event.event if isinstance(pool_event, orchestrator_pb2.ComparisonPoolEvent) else pool_event
    return inner.WhichOneof("event") or ""


async def cancel(stack: OrchestratorStack, execution_id: str) -> orchestrator_pb2.ExecutionSummary:
    async with another_client(stack) as client:
        asked = orchestrator_pb2.CancelExecutionRequest(execution_id=execution_id)
        return (await client.CancelExecution(asked, timeout=20)).execution


@pytest.mark.parametrize("kind", EXECUTION_KINDS)
async def test_an_execution_cancelled_at_any_event_ends_once_and_holds_nothing(kind: str) -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        stack.predictor.suggestions = SUGGESTIONS
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        events, summary = [], None
        async for event in stack.client.ExecuteWithStrategy(request, timeout=20):
            events.append(event)
            if kind_of(event) == kind:
                summary = await cancel(stack, events[0].accepted.execution_id)
        await asyncio.sleep(0.05)
        recorded = [each.execution_id for each in stack.validator.executions]
        assert stack.pool.lease_count == 0
    assert summary is not None
    assert [event.sequence for event in events] == list(range(1, summary.last_sequence + 1))
    assert [kind_of(event) in {"completed", "failed"} for event in events] == [False] * (len(events) - 1) + [True]
    if events[-1].HasField("completed"):
        assert (summary.state, recorded) == (STATES.EXECUTION_STATE_COMPLETED, [summary.execution_id])
    else:
        assert (summary.state, recorded) == (STATES.EXECUTION_STATE_CANCELLED, [])
        assert RemoteError(events[-1].failed).metadata["cause"] == "it was asked to end"


@pytest.mark.parametrize("kind", COMPARISON_KINDS)
async def test_a_comparison_cancelled_at_any_event_ends_once_and_holds_nothing(kind: str) -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.suggestions = SUGGESTIONS
        stack.pool.plan_seconds = 0.02
        request = orchestrator_pb2.CompareStrategiesRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM, rounds=3
        )
        events, summary = [], None
        async for event in stack.client.CompareStrategies(request, timeout=20):
            events.append(event)
            if kind_of(event) == kind and summary is None:
                summary = await cancel(stack, events[0].accepted.comparison_id)
        await asyncio.sleep(0.05)
        recorded = [each.execution_id for each in stack.validator.executions]
        assert stack.pool.lease_count == 0
        assert stack.validator.impacts == []
    assert summary is not None
    assert summary.state == STATES.EXECUTION_STATE_CANCELLED
    assert kind_of(events[-1]) == "failed"
    # Rounds that were measured stay on record, each once.
    assert len(set(recorded)) == len(recorded) <= sum(kind_of(event) == "strategy_measured" for event in events)


async def test_an_execution_that_waits_for_its_turn_is_cancelled_without_having_run() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "wait"
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        first = stack.client.ExecuteWithStrategy(request, timeout=20)
        async for event in first:
            if kind_of(event) == "leased":
                break
        queued, identifier = stack.client.ExecuteWithStrategy(request, timeout=20), ""
        kinds = []
        async for event in queued:
            kinds.append(kind_of(event))
            identifier = identifier or event.accepted.execution_id
            if kinds[-1] == "queued":
                assert (event.queued.waiting_count, event.queued.place_count) == (1, 1)
                await cancel(stack, identifier)
        stack.pool.released.set()
        ends = [kind_of(event) async for event in first]
        assert len(stack.pool.plan_requests) == 1
    assert kinds == ["accepted", "chosen", "queued", "failed"]
    assert ends[-1] == "completed"


async def test_cancelling_twice_and_cancelling_what_has_ended_changes_nothing() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "hold"
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
        )
        call = stack.client.ExecuteWithStrategy(request, timeout=20)
        identifier = (await anext(aiter(call))).accepted.execution_id
        await stack.pool.lease_started.wait()
        both = await asyncio.gather(cancel(stack, identifier), cancel(stack, identifier))
        after = await cancel(stack, identifier)
    assert both[0] == both[1] == after
    assert after.state == STATES.EXECUTION_STATE_CANCELLED


async def test_cancelling_while_the_record_is_being_kept_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the record would be told of an execution that did not complete: after a restart, when it is found."""
    being_kept = asyncio.Event()
    settle = ExecutionLog.settle

    async def slowly(*arguments: Any, **named: Any) -> list[int]:
        being_kept.set()
        positions = await settle(*arguments, **named)
        await asyncio.sleep(0.2)
        return positions

    monkeypatch.setattr(ExecutionLog, "settle", slowly)
    async with orchestrator_stack(validation_interval=1) as stack:
        events: list[orchestrator_pb2.ExecuteWithStrategyResponse] = []
        running = asyncio.ensure_future(everything(stack, events))
        await being_kept.wait()
        summary = await cancel(stack, events[0].accepted.execution_id)
        await running
        assert summary.state == STATES.EXECUTION_STATE_COMPLETED
        assert events[-1].HasField("completed")
        await until(lambda: [each.execution_id for each in stack.validator.executions] == [summary.execution_id])


async def everything(stack: OrchestratorStack, events: list[orchestrator_pb2.ExecuteWithStrategyResponse]) -> None:
    """Executes, and notes each event as it comes."""
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM
    )
    async for event in stack.client.ExecuteWithStrategy(request, timeout=20):
        events += [event]
