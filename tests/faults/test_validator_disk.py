"""The disk is full: a write that cannot be kept is refused, and what was acknowledged stays."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import duckdb
import grpc

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.validators import validator_process

FIGURES = pb.RecordedPerformance(latency_ms=10, throughput_items_per_second=100, memory_mb=20)


def execution(number: int) -> pb.RecordExecutionRequest:
    """About 100 kB of runs, so that the file fills quickly."""
    return pb.RecordExecutionRequest(
        execution=pb.ExecutionRecord(
            execution_id=f"e{number}",
            workload=core.Workload(models=[core.ModelConfig(model_name="bert", batch_size=1)]),
            platform=core.PLATFORM_WASM,
            strategy=core.STRATEGY_PARALLEL,
            measured=FIGURES,
            runs=[
                pb.RecordedRun(model_name=f"model-{number}-{index}", batch_size=1, run_time_ms=index)
                for index in range(2000)
            ],
        )
    )


async def record_until_refused(address: str) -> tuple[list[str], RemoteError]:
    acknowledged: list[str] = []
    async with open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        for number in range(500):
            try:
                await stub.RecordExecution(execution(number), timeout=30)
            except grpc.aio.AioRpcError as error:
                return acknowledged, RemoteError.from_rpc(error)
            acknowledged.append(f"e{number}")
    raise AssertionError("500 large writes fitted into the limit")


async def test_after_a_full_disk_old_rows_are_readable_and_new_ones_are_taken_when_there_is_room(
    tmp_path: Path,
) -> None:
    db_path = tmp_path / "v.duckdb"
    async with validator_process(db_path) as (child, address), open_channel(address) as channel:
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
        acknowledged, _ = await record_until_refused(address)
        stub = ValidatorServiceStub(channel)
        metrics = await stub.GetValidationMetrics(pb.GetValidationMetricsRequest(), timeout=30)
        assert metrics.execution_count == len(acknowledged)
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        answer = await stub.RecordExecution(execution(1000), timeout=30)
        assert (answer.newly_recorded, answer.execution_count) == (True, len(acknowledged) + 1)
    async with validator_process(db_path) as (_, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        status = await stub.GetStorageStatus(pb.GetStorageStatusRequest(), timeout=30)
        assert status.row_counts["executions"] == len(acknowledged) + 1
        assert not status.degraded


async def test_a_full_disk_refuses_the_write_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    db_path = tmp_path / "v.duckdb"
    environment = os.environ | {"CORUN_VALIDATOR_DB_PATH": str(db_path), "CORUN_VALIDATOR_PORT": "0"}
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "corun.validator", env=environment, stdout=PIPE)
    try:
        assert child.stdout is not None
        address = (await asyncio.wait_for(child.stdout.readline(), 30)).decode().strip().rsplit(" ", 1)[1]
        # No file of the process may grow over 4 MB: to it, that is a disk without space.
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
        acknowledged, error = await record_until_refused(address)
        assert (error.code, error.reason, error.metadata["path"]) == ("INTERNAL", "DATABASE_FAILED", str(db_path))
        assert len(acknowledged) > 5
    finally:
        child.kill()
        await child.wait()
    with duckdb.connect(str(db_path)) as connection:
        kept = connection.execute("SELECT execution_id, count(*) FROM runs GROUP BY ALL").fetchall()
        known = connection.execute("SELECT execution_id FROM executions").fetchall()
    assert dict(kept) == dict.fromkeys(acknowledged, 2000)
    assert sorted(row[0] for row in known) == sorted(acknowledged)
