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
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.validators import validator_process

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

# Kills in each test; 30 with the long form, CORUN_KILL_ROUNDS=30.
ROUNDS = int(os.environ.get("CORUN_KILL_ROUNDS", "4"))
WRITERS = 8
# The kill comes after some acknowledgement up to this one, so at a random moment of the load.
ACKNOWLEDGED_BEFORE_KILL = 200
RANDOM = random.Random(20261124)
RUNS = 3
WORKLOAD = core.Workload(models=[core.ModelConfig(model_name="bert", batch_size=1)])
FIGURES = pb.RecordedPerformance(latency_ms=10, throughput_items_per_second=100, memory_mb=20)


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


async def test_repeating_after_a_kill_tells_what_was_recorded(tmp_path: Path) -> None:
    db_path = tmp_path / "v.duckdb"
    done = Acknowledged()
    await kill_under_load(db_path, "before", done)
    known = sorted(done.executions)[0]
    async with validator_process(db_path) as (_, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        again = await stub.RecordExecution(pb.RecordExecutionRequest(execution=execution(known)))
        assert not again.newly_recorded
        assert again.execution_count >= len(done.executions)


async def test_writers_that_repeat_what_was_not_acknowledged_have_every_record_on_disk_once(tmp_path: Path) -> None:
    db_path = tmp_path / "v.duckdb"
    service, done, ending = Restarted(), Acknowledged(), asyncio.Event()
    writers = [asyncio.create_task(write_and_repeat(service, f"writer{number}", done, ending)) for number in range(4)]
    for _ in range(ROUNDS):
        async with validator_process(db_path) as (child, address), open_channel(address) as channel:
            service.is_at(ValidatorServiceStub(channel))
            goal = len(done.executions) + RANDOM.randint(1, ACKNOWLEDGED_BEFORE_KILL)
            async with asyncio.timeout(60):
                while len(done.executions) < goal:  # noqa: ASYNC110  (a moment as good as any is wanted)
                    await asyncio.sleep(0.005)
            child.kill()
            await child.wait()
            service.is_gone()
    async with validator_process(db_path) as (_, address), open_channel(address) as channel:
        service.is_at(ValidatorServiceStub(channel))
        ending.set()
        await asyncio.wait_for(asyncio.gather(*writers), 60)
    with duckdb.connect(str(db_path)) as connection:
        executions = ids(connection, "SELECT execution_id FROM executions")
        validations = ids(connection, "SELECT execution_id FROM multi_model_validation_metrics")
        runs = connection.execute("SELECT execution_id, count(*) FROM runs GROUP BY ALL").fetchall()
    # Every record was repeated until it was acknowledged: nothing more is there than that, and nothing twice.
    assert sorted(executions) == sorted(validations) == sorted(done.executions)
    assert dict(runs) == dict.fromkeys(executions, RUNS)


class Restarted:
    """A validator that comes back at other addresses."""

    def __init__(self) -> None:
        self._stub: ValidatorServiceAsyncStub | None = None
        self._there = asyncio.Event()

    def is_at(self, stub: ValidatorServiceAsyncStub) -> None:
        self._stub = stub
        self._there.set()

    def is_gone(self) -> None:
        self._there.clear()

    async def stub(self) -> ValidatorServiceAsyncStub:
        await self._there.wait()
        assert self._stub is not None
        return self._stub


async def write_and_repeat(service: Restarted, name: str, done: Acknowledged, ending: asyncio.Event) -> None:
    for number in itertools.count():
        if ending.is_set():
            return
        request = pb.ValidatePredictionRequest(execution=execution(f"{name}-{number}"))
        while request.execution.execution_id not in done.executions:
            try:
                await (await service.stub()).ValidatePrediction(request, timeout=20)
                done.executions.add(request.execution.execution_id)
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
                # The closed channel of a validator that is gone cancels its calls.
                if isinstance(error, grpc.aio.AioRpcError) and error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.01)
