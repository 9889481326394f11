"""The validator is killed while it writes: what it acknowledged is on disk once, the rest is there whole or not."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import grpc

from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2 as core
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.fakes.orchestrator_stack import OrchestratorStack, fake_peers, orchestrator_with, workload
from tests.faults.service_process import free_port, kill, service_process
from tests.until import until
from tests.validators import FIGURES, WORKLOAD, validator_process

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

# Kills in each test; 30 with the long form, CORUN_KILL_ROUNDS=30.
ROUNDS = int(os.environ.get("CORUN_KILL_ROUNDS", "2"))
WRITERS = 8
# The kill comes after some acknowledgement up to this one, so at a random moment of the load.
ACKNOWLEDGED_BEFORE_KILL = 200
RANDOM = random.Random(20261124)
RUNS = 3


@dataclass
class Acknowledged:
    """Ids that the validator said are on disk."""

    executions: set[str] = field(default_factory=set)
    validations: set[str] = field(default_factory=set)
    comparisons: set[str] = field(default_factory=set)

    def count(self) -> int:
        return len(self.executions) + len(self.comparisons)


def execution(execution_id: str) -> pb.ExecutionRecord:
    run = pb.RecordedRun(model_name="bert", batch_size=1, lane_width=1, concurrency=1, run_time_ms=9)
    return pb.ExecutionRecord(
        execution_id=execution_id,
        workload=WORKLOAD,
        platform=core.PLATFORM_WASM,
        strategy=core.STRATEGY_PARALLEL,
        predicted=FIGURES,
        measured=FIGURES,
        runs=[run] * RUNS,
    )


def comparison(comparison_id: str) -> pb.RecordOptimizationImpactRequest:
    return pb.RecordOptimizationImpactRequest(
        comparison_id=comparison_id,
        workload=WORKLOAD,
        platform=core.PLATFORM_WASM,
        recommended=core.STRATEGY_PARALLEL,
        best=core.STRATEGY_PARALLEL,
        recommendation_correct=True,
        outcomes=[pb.StrategyOutcome(strategy=core.STRATEGY_PARALLEL, measured=FIGURES)],
    )


async def write_until_refused(
    validator: ValidatorServiceAsyncStub, name: str, done: Acknowledged, progress: Callable[[], None]
) -> None:
    """Records executions, every other one validated, every third with a comparison, until the server is gone."""
    try:
        for number in itertools.count():
            each = f"{name}-{number}"
            if number % 2:
                await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=execution(each)), timeout=20)
                done.validations.add(each)
            else:
                await validator.RecordExecution(pb.RecordExecutionRequest(execution=execution(each)), timeout=20)
            done.executions.add(each)
            if number % 3 == 0:
                await validator.RecordOptimizationImpact(comparison(each), timeout=20)
                done.comparisons.add(each)
            progress()
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise


async def kill_under_load(db_path: Path, name: str, done: Acknowledged) -> None:
    enough = asyncio.Event()
    goal = done.count() + RANDOM.randint(1, ACKNOWLEDGED_BEFORE_KILL)

    def progress() -> None:
        if done.count() >= goal:
            enough.set()

    async with validator_process(db_path) as (child, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        writers = [
            asyncio.create_task(write_until_refused(stub, f"{name}-{writer}", done, progress))
            for writer in range(WRITERS)
        ]
        await asyncio.wait_for(enough.wait(), 60)
        child.kill()
        await asyncio.wait_for(asyncio.gather(*writers), 60)


def ids(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [row[0] for row in connection.execute(query).fetchall()]


async def test_after_kills_under_load_every_acknowledged_record_is_there_exactly_once(tmp_path: Path) -> None:
    db_path = tmp_path / "v.duckdb"
    done = Acknowledged()
    for number in range(ROUNDS):
        await kill_under_load(db_path, f"round{number}", done)
    assert done.count() >= ROUNDS
    with duckdb.connect(str(db_path)) as connection:
        executions = ids(connection, "SELECT execution_id FROM executions")
        validations = ids(connection, "SELECT execution_id FROM multi_model_validation_metrics")
        comparisons = ids(connection, "SELECT comparison_id FROM multi_model_optimization_impact")
        runs = connection.execute("SELECT execution_id, count(*) FROM runs GROUP BY ALL").fetchall()
        numbers = ids(connection, "SELECT validation_number FROM multi_model_validation_metrics")
    for found, acknowledged in (
        (executions, done.executions),
        (validations, done.validations),
        (comparisons, done.comparisons),
    ):
        assert len(found) == len(set(found))
        assert acknowledged <= set(found)
    assert dict(runs) == dict.fromkeys(executions, RUNS)  # an unacknowledged execution is there with its runs, or not
    assert set(validations) <= set(executions)
    assert len(numbers) == len(set(numbers))
    async with validator_process(db_path) as (_, address), open_channel(address) as channel:
        request = pb.RecordExecutionRequest(execution=execution(min(done.executions)))
        again = await ValidatorServiceStub(channel).RecordExecution(request)
        assert (again.newly_recorded, again.execution_count) == (False, len(executions))
    print(f"{ROUNDS} kills, {done.count()} acknowledged records, each on disk once")


async def test_every_execution_of_an_orchestrator_whose_validator_is_killed_is_on_disk_once(tmp_path: Path) -> None:
    db_path, port, known, ending = tmp_path / "v.duckdb", free_port(), set[str](), asyncio.Event()
    settings = {"db_path": db_path, "port": port}
    orchestrator = {
        "validator_target": f"127.0.0.1:{port}",
        "validation_interval": 1,
        "peer_check_interval_seconds": 0.1,
    }
    async with fake_peers() as peers, orchestrator_with(peers, tmp_path / "orchestrator", **orchestrator) as stack:
        peers.pool.max_connections = WRITERS
        callers = [asyncio.create_task(execute_until(ending, stack, known)) for _ in range(WRITERS)]
        for _ in range(ROUNDS):
            async with service_process("validator", settings) as (child, _):
                await until_there_are_more(known)
                await asyncio.sleep(RANDOM.uniform(0, 0.5))
                await kill(child)
        ending.set()
        await asyncio.gather(*callers)
        async with service_process("validator", settings) as (_, address), open_channel(address) as channel:
            stub = ValidatorServiceStub(channel)
            await until_recorded(stub, len(known))
    with duckdb.connect(str(db_path)) as connection:
        executions = ids(connection, "SELECT execution_id FROM executions")
        validations = ids(connection, "SELECT execution_id FROM multi_model_validation_metrics")
    assert sorted(executions) == sorted(validations) == sorted(known)
    print(f"{ROUNDS} kills, {len(known)} executions of an orchestrator, each on disk once")


async def until_recorded(validator: ValidatorServiceAsyncStub, count: int) -> None:
    request = pb.GetStorageStatusRequest()
    # Executions end before they are recorded, one after another, so that some may have to be caught up with.
    async with asyncio.timeout(60 + count / 20):
        # A new channel to an address that was dead a moment ago may still wait to try it again.
        status = await validator.GetStorageStatus(request, wait_for_ready=True)
        while status.row_counts["executions"] < count:
            await asyncio.sleep(0.05)
            status = await validator.GetStorageStatus(request)


async def until_there_are_more(known: set[str]) -> None:
    before = len(known)
    await until(lambda: len(known) > before)


async def execute_until(ending: asyncio.Event, stack: OrchestratorStack, known: set[str]) -> None:
    """Executes again and again, and notes what was measured."""
    request = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload("fake-text"), platform=core.PLATFORM_WASM)
    while not ending.is_set():
        events = [event async for event in stack.client.ExecuteWithStrategy(request, timeout=60)]
        assert events[-1].HasField("completed"), events[-1]
        known.add(events[0].accepted.execution_id)
