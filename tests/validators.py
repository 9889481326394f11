"""A validator and records to put into it, for tests of every kind."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pyarrow as pa
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.build import build
from corun.validator.config import Settings

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

WORKLOAD = core.Workload(models=[core.ModelConfig(model_name="bert", batch_size=1)])
FIGURES = pb.RecordedPerformance(latency_ms=100, throughput_items_per_second=10, memory_mb=50)


@asynccontextmanager
async def serving(db_path: Path, **settings: Any) -> AsyncIterator[ValidatorServiceAsyncStub]:
    """A validator in this process."""
    made = Settings(port=0, db_path=db_path, grace_seconds=0.5, **settings)
    server = Server(host=made.host, port=made.port, grace_seconds=made.grace_seconds)
    async with build(made) as service, server.serving([service]), open_channel(server.address) as channel:
        yield ValidatorServiceStub(channel)


@asynccontextmanager
async def validator_process(db_path: Path, **settings: str) -> AsyncIterator[tuple[Process, str]]:
    """A validator in a process of its own, and its address; killed on leaving."""
    environment = os.environ | {"CORUN_VALIDATOR_DB_PATH": str(db_path), "CORUN_VALIDATOR_PORT": "0"} | settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corun.validator", env=environment, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        line = (await asyncio.wait_for(child.stdout.readline(), 60)).decode().strip()
        assert line.startswith("validator listening on "), line
        yield child, line.rsplit(" ", 1)[1]
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def execution(execution_id: str, *, latency_error: float = 0.1, run_count: int = 1) -> pb.ExecutionRecord:
    """An execution whose latency was predicted too high by the given share of what was measured."""
    run = pb.RecordedRun(model_name="bert", batch_size=1, lane_width=1, concurrency=1, run_time_ms=9)
    predicted = pb.RecordedPerformance(
        latency_ms=100 * (1 + latency_error), throughput_items_per_second=10, memory_mb=50
    )
    return pb.ExecutionRecord(
        execution_id=execution_id,
        workload=WORKLOAD,
        platform=core.PLATFORM_WASM,
        strategy=core.STRATEGY_PARALLEL,
        predicted=predicted,
        measured=FIGURES,
        runs=[run] * run_count,
    )


async def refused(call: Any) -> RemoteError:
    """The status of a call, or of a stream read to its end, that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_read(call) if hasattr(call, "__aiter__") else call)
    return RemoteError.from_rpc(caught.value)


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


async def query(validator: ValidatorServiceAsyncStub, sql: str, **options: int) -> tuple[pa.Table, pb.QuerySummary]:
    """The answer to a statement, which must be whole."""
    content, summary = bytearray(), None
    async for part in validator.QueryMetrics(pb.QueryMetricsRequest(sql=sql, **options), timeout=120):
        assert summary is None, "something came after the summary"
        if part.HasField("summary"):
            summary = part.summary
        content += part.arrow_ipc
    assert summary is not None
    table = pa.ipc.open_stream(bytes(content)).read_all()
    assert (summary.row_count, summary.size_bytes) == (table.num_rows, len(content))
    return table, summary
