"""Whatever clients, services and operators do, every execution has one of the allowed histories, and is recorded
exactly once when it completed and never when it did not.

`CORUN_TEST_HISTORIES` is how many lives of an orchestrator are tried; by default a few.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corun.errors import DatabaseFailed
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.histories import Event, assert_allowed
from tests.fakes.orchestrator_stack import FakePeers, OrchestratorStack, fake_peers, orchestrator_with, workload
from tests.until import until

# What went through the orchestrator; a client sees it as the status of a stream that was cut.
_CUT = {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}

WHICH = st.integers(0, 1000)


class Client:
    """Reads one stream and keeps what it saw."""

    def __init__(self, call: Any, first_sequence: int = 1) -> None:
        self.call = call
        self.events: list[Event] = []
        self.first_sequence = first_sequence
        self.reading = asyncio.ensure_future(self._read())

    @property
    def execution_id(self) -> str:
        """Of what it started; "" until it is accepted."""
        accepted = self.events[0].accepted if self.events else None
        return getattr(accepted, "execution_id", "") or getattr(accepted, "comparison_id", "")

    async def _read(self) -> None:
        try:
            async for event in self.call:
                if isinstance(event, orchestrator_pb2.WatchExecutionResponse):
                    inner = event.execution if event.HasField("execution") else event.comparison
                else:
                    inner = event
                if not inner.HasField("heartbeat"):
                    self.events.append(inner)
        except asyncio.CancelledError:
            if not self.call.cancelled():
                raise
        except grpc.aio.AioRpcError as error:
            if error.code() not in _CUT:
                raise


class Histories(RuleBasedStateMachine):
    """Clients that start, watch, leave and cancel; a pool that stalls; a validator that fails; restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.lifetime = AsyncExitStack()
        self.running = AsyncExitStack()
        self.clients: list[Client] = []
        self.peers: FakePeers
        self.stack: OrchestratorStack

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a step in the machine's own loop, and lets the others get on a little."""
        return self.loop.run_until_complete(_and_a_moment(work))

    @initialize()
    def begin(self) -> None:
        self.do(self._begin())

    async def _begin(self) -> None:
        self.peers = await self.lifetime.enter_async_context(fake_peers())
        self.peers.pool.max_connections = 2
        self.peers.pool.plan_seconds = 0.005
        await self._start_orchestrator()

    async def _start_orchestrator(self) -> None:
        self.stack = await self.running.enter_async_context(
            orchestrator_with(self.peers, Path(self.folder.name), validation_interval=2, heartbeat_seconds=0.05)
        )

    @rule(
        compares=st.booleans(),
        window=st.sampled_from([0, 30]),
        request_id=st.sampled_from(["", "", "one", "two"]),
        client_id=st.sampled_from(["ada", "bob"]),
    )
    def start(self, compares: bool, window: int, request_id: str, client_id: str) -> None:
        self.do(self._start(compares, window, request_id and f"{request_id}-{compares}", client_id))

    async def _start(self, compares: bool, window: int, request_id: str, client_id: str) -> None:
        common: dict[str, Any] = {
            "workload": workload("fake-text"),
            "platform": core_pb2.PLATFORM_WASM,
            "request_id": request_id,
            "client_id": client_id,
        }
        request: Any
        if compares:
            request = orchestrator_pb2.CompareStrategiesRequest(rounds=2, **common)
        else:
            request = orchestrator_pb2.ExecuteWithStrategyRequest(**common)
        request.reattach_window.FromSeconds(window)
        client = self.stack.client
        call = client.CompareStrategies if compares else client.ExecuteWithStrategy
        self.clients.append(Client(call(request, timeout=60)))

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        if self.clients:
            self.clients[which % len(self.clients)].call.cancel()
            self.do(asyncio.sleep(0))

    @rule(which=WHICH, after=st.floats(0, 1))
    def watch(self, which: int, after: float) -> None:
        client = self._started(which)
        if client is not None:
            self.do(self._watch(client.execution_id, int(after * len(client.events))))

    async def _watch(self, execution_id: str, after: int) -> None:
        request = orchestrator_pb2.WatchExecutionRequest(execution_id=execution_id, after_sequence=after)
        self.clients.append(Client(self.stack.client.WatchExecution(request, timeout=60), after + 1))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        client = self._started(which)
        if client is not None:
            request = orchestrator_pb2.CancelExecutionRequest(execution_id=client.execution_id)
            self.do(_awaited(self.stack.client.CancelExecution(request, timeout=20)))

    def _started(self, which: int) -> Client | None:
        """One of those that know their execution. Nothing is drawn from what there is: that depends on time."""
        started = [each for each in self.clients if each.execution_id]
        return started[which % len(started)] if started else None

    @rule(stalls=st.booleans())
    def stall_the_pool(self, stalls: bool) -> None:
        self.peers.pool.behaviour = "wait" if stalls else "answer"
        if not stalls:
            self.peers.pool.released.set()
            self.peers.pool.released = asyncio.Event()

    @rule(fails=st.booleans())
    def fail_the_validator(self, fails: bool) -> None:
        self.peers.validator.error = DatabaseFailed("/fake.duckdb", "disk full") if fails else None

    @rule()
    def restart(self) -> None:
        self.do(self._restart())

    async def _restart(self) -> None:
        await self.running.aclose()
        await self._start_orchestrator()

    @rule(milliseconds=st.integers(0, 60))
    def let_time_pass(self, milliseconds: int) -> None:
        self.do(asyncio.sleep(milliseconds / 1000))

    @invariant()
    def no_more_browsers_are_taken_than_there_are(self) -> None:
        if hasattr(self, "peers"):
            assert self.peers.pool.lease_count <= self.peers.pool.max_connections + 1  # one may just be ending

    def teardown(self) -> None:
        try:
            if hasattr(self, "stack"):
                self.stall_the_pool(stalls=False)
                self.fail_the_validator(fails=False)
                self.do(self._account())
        finally:
            self.do(self._close())
            self.loop.close()
            self.folder.cleanup()

    async def _close(self) -> None:
        await self.running.aclose()
        await self.lifetime.aclose()
        await asyncio.gather(*(each.reading for each in self.clients))

    async def _account(self) -> None:
        """Every execution that anybody was told of is accounted for."""
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.reading for each in self.clients))
        client = self.stack.client
        everything = orchestrator_pb2.ListExecutionsRequest(page_size=1000)
        summaries: dict[str, orchestrator_pb2.ExecutionSummary] = {}
        async with asyncio.timeout(20):
            while True:
                listed = (await client.ListExecutions(everything, timeout=20)).executions
                summaries = {each.execution_id: each for each in listed}
                if all(each.state != orchestrator_pb2.EXECUTION_STATE_RUNNING for each in listed):
                    break
                await asyncio.sleep(0.02)
        logs: dict[str, list[Event]] = {}
        for identifier, summary in summaries.items():
            request = orchestrator_pb2.WatchExecutionRequest(execution_id=identifier)
            logs[identifier] = [
                each.execution if each.HasField("execution") else each.comparison
                async for each in client.WatchExecution(request, timeout=20)
            ]
            assert_allowed(logs[identifier], summary)
        for each in self.clients:
            self._assert_saw_what_is_kept(each, logs)
        completed = {
            identifier
            for identifier, summary in summaries.items()
            if summary.state == orchestrator_pb2.EXECUTION_STATE_COMPLETED
        }
        executions = {
            identifier
            for identifier in completed
            if summaries[identifier].kind == orchestrator_pb2.EXECUTION_KIND_EXECUTION
        }
        validator = self.peers.validator
        comparisons = completed - executions
        await until(lambda: executions <= {each.execution_id for each in validator.executions}, within=15)
        await until(lambda: comparisons <= {each.comparison_id for each in validator.impacts}, within=15)
        recorded = [each.execution_id for each in validator.executions]
        assert len(set(recorded)) == len(recorded)
        # What else is on record are rounds of comparisons, which stand for themselves.
        assert {each for each in recorded if each in summaries} == executions
        assert {each.comparison_id for each in validator.impacts} == comparisons
        await until(lambda: self.peers.pool.lease_count == 0)

    def _assert_saw_what_is_kept(self, client: Client, logs: dict[str, list[Event]]) -> None:
        if not client.events:
            return
        matching = [log for log in logs.values() if client.events[0] in log]
        assert matching, "a client was told of an execution that is not kept"
        start = client.first_sequence - 1
        assert client.events == matching[0][start : start + len(client.events)]


async def _and_a_moment(work: Coroutine[Any, Any, Any]) -> Any:
    result = await work
    await asyncio.sleep(0.003)
    return result


async def _awaited(call: Any) -> Any:
    return await call


Histories.TestCase.settings = settings(
    max_examples=int(os.environ.get("CORUN_TEST_HISTORIES", "6")),
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make a failing life shorter takes longer than to read it
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestHistories = Histories.TestCase
