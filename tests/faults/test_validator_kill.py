"""The validator is killed while it writes: what it acknowledged is on disk once, the rest is there whole or not."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import grpc

from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

ROUNDS = 5
WRITERS = 8
ACKNOWLEDGED_BEFORE_KILL = 150
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


@asynccontextmanager
async def process(db_path: Path) -> AsyncIterator[tuple[Process, str]]:
    environment = os.environ | {"CORUN_VALIDATOR_DB_PATH": str(db_path), "CORUN_VALIDATOR_PORT": "0"}
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "corun.validator", env=environment, stdout=PIPE)
    try:
        assert child.stdout is not None
        line = (await asyncio.wait_for(child.stdout.readline(), 30)).decode().strip()
        assert line.startswith("validator listening on ")
        yield child, line.rsplit(" ", 1)[1]
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


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
    goal = done.count() + ACKNOWLEDGED_BEFORE_KILL

    def progress() -> None:
        if done.count() >= goal:
            enough.set()

    async with process(db_path) as (child, address), open_channel(address) as channel:
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
    assert done.count() >= ROUNDS * ACKNOWLEDGED_BEFORE_KILL
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
    async with process(db_path) as (_, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        again = await stub.RecordExecution(pb.RecordExecutionRequest(execution=execution(known)))
        assert not again.newly_recorded
        assert again.execution_count >= len(done.executions)
