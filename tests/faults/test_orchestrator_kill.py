"""The orchestrator's process is killed at every event; the next one accounts for every execution that was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from tests.fakes.histories import Event, assert_allowed
from tests.fakes.orchestrator_stack import FakePeers, fake_peers, workload
from tests.faults.service_process import kill, service_process
from tests.until import until

if TYPE_CHECKING:
    from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub  # exists in the stubs only

STATES = orchestrator_pb2.ExecutionState


@dataclass(slots=True)
class Seen:
    """What clients saw, by execution, and whether the process was killed."""

    killed: bool = False
    events: dict[str, list[Event]] = field(default_factory=dict)


@asynccontextmanager
async def orchestrator(peers: FakePeers, folder: Path) -> AsyncIterator[tuple[Any, OrchestratorServiceAsyncStub]]:
    settings = {**peers.targets, "port": 0, "state_folder": folder, "validation_interval": 2}
    async with service_process("orchestrator", settings) as (child, address), open_channel(address) as channel:
        yield child, OrchestratorServiceStub(channel)


async def follow(call: Any, seen: Seen, child: Any, fatal: str) -> None:
    """Reads a stream and kills the process at the first event of a kind."""
    identifier = ""
    try:
        async for event in call:
            accepted = event.accepted
            identifier = identifier or getattr(accepted, "execution_id", "") or getattr(accepted, "comparison_id", "")
            if not event.HasField("heartbeat"):
                seen.events.setdefault(identifier, []).append(event)
            if event.WhichOneof("event") == fatal and not seen.killed:
                seen.killed = True
                await kill(child)
    except grpc.aio.AioRpcError:
        if not seen.killed:
            raise


async def logs_of(
    client: OrchestratorServiceAsyncStub,
) -> dict[str, tuple[orchestrator_pb2.ExecutionSummary, list[Event]]]:
    listed = await client.ListExecutions(orchestrator_pb2.ListExecutionsRequest(page_size=1000), timeout=20)
    found = {}
    for summary in listed.executions:
        request = orchestrator_pb2.WatchExecutionRequest(execution_id=summary.execution_id)
        events: list[Event] = [
            each.execution if each.HasField("execution") else each.comparison
            async for each in client.WatchExecution(request, timeout=20)
        ]
        found[summary.execution_id] = summary, events
    return found


@pytest.mark.parametrize("fatal", ["accepted", "chosen", "pool_event", "validated", "strategy_measured", "completed"])
async def test_whenever_it_is_killed_every_accepted_execution_ends_and_is_recorded_exactly_once(
    fatal: str, tmp_path: Path
) -> None:
    async with fake_peers() as peers:
        peers.pool.max_connections, peers.pool.plan_seconds = 3, 0.02
        seen, common = Seen(), {"workload": workload("fake-text"), "platform": core_pb2.PLATFORM_WASM}
        async with orchestrator(peers, tmp_path) as (child, client):
            execute = orchestrator_pb2.ExecuteWithStrategyRequest(**common)  # type: ignore[arg-type]
            compare = orchestrator_pb2.CompareStrategiesRequest(rounds=2, **common)  # type: ignore[arg-type]
            calls = [client.ExecuteWithStrategy(execute, timeout=30) for _ in range(6)]
            await asyncio.gather(
                *(follow(call, seen, child, fatal) for call in calls),
                follow(client.CompareStrategies(compare, timeout=30), seen, child, fatal),
            )
            assert child.returncode is not None
        await until(lambda: peers.pool.lease_count == 0)
        async with orchestrator(peers, tmp_path) as (_, client):
            logs = await logs_of(client)
            for identifier, events in seen.events.items():
                summary, log = logs[identifier]
                assert log[: len(events)] == events
            for summary, log in logs.values():
                assert_allowed(log, summary)
                if log[-1].HasField("failed"):
                    assert RemoteError(log[-1].failed).reason == "EXECUTION_INTERRUPTED"
            completed = {
                identifier
                for identifier, (summary, _) in logs.items()
                if summary.state == STATES.EXECUTION_STATE_COMPLETED
            }
            recorded = peers.validator.executions
            known = completed & {
                each for each, (one, _) in logs.items() if one.kind == orchestrator_pb2.EXECUTION_KIND_EXECUTION
            }
            await until(lambda: known <= {each.execution_id for each in recorded})
            ids = [each.execution_id for each in recorded]
            assert len(ids) == len(set(ids))
            assert {each for each in ids if each in logs} == known
    states = [STATES.Name(summary.state).removeprefix("EXECUTION_STATE_") for summary, _ in logs.values()]
    print(f"killed at {fatal}: {len(logs)} kept, {states.count('COMPLETED')} completed")


async def test_a_request_id_is_used_up_although_the_process_was_killed(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        peers.pool.behaviour = "hold"
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM, request_id="once"
        )
        seen = Seen()
        async with orchestrator(peers, tmp_path) as (child, client):
            await follow(client.ExecuteWithStrategy(request, timeout=30), seen, child, "pool_event")
        (identifier,) = seen.events
        async with orchestrator(peers, tmp_path) as (_, client):
            again = [event async for event in client.ExecuteWithStrategy(request, timeout=30)]
        assert len(peers.pool.plan_requests) == 1
    assert again[0].accepted.execution_id == identifier
    assert RemoteError(again[-1].failed).reason == "EXECUTION_INTERRUPTED"
