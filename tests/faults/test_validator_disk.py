"""The disk is full: a write that cannot be kept is refused, what was acknowledged stays, and with room it goes on."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.validators import FIGURES, WORKLOAD, query, validator_process

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

SIZE_BYTES = 2_500_000
RUNS = 2000
CAP_SYS_ADMIN = 21


@dataclass(frozen=True)
class SmallDisk:
    """A folder that holds little.

    Attributes:
        fill: Makes it small to a process that is running.
        make_room: Makes it large again.
    """

    folder: Path
    fill: Callable[[int], object]
    make_room: Callable[[int], object]


@contextmanager
def limited_files(folder: Path) -> Iterator[SmallDisk]:
    """No file of the process may grow further: to it, that is a disk without space."""

    def limit(size: int) -> Callable[[int], object]:
        return lambda pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    yield SmallDisk(folder, limit(SIZE_BYTES), limit(resource.RLIM_INFINITY))


@contextmanager
def small_file_system(folder: Path) -> Iterator[SmallDisk]:
    """A file system of its own in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "small", folder], check=True)

    def make_room(_pid: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={20 * SIZE_BYTES}", folder], check=True)

    try:
        yield SmallDisk(folder, lambda _pid: None, make_room)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _may_mount() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_ADMIN & 1)


def execution(number: int) -> pb.RecordExecutionRequest:
    """About 100 kB of runs, so that the disk fills quickly."""
    runs = [pb.RecordedRun(model_name=f"model-{number}-{index}", batch_size=1) for index in range(RUNS)]
    return pb.RecordExecutionRequest(
        execution=pb.ExecutionRecord(
            execution_id=f"e{number}",
            workload=WORKLOAD,
            platform=core.PLATFORM_WASM,
            strategy=core.STRATEGY_PARALLEL,
            measured=FIGURES,
            runs=runs,
        )
    )


async def record_until_refused(validator: ValidatorServiceAsyncStub) -> tuple[list[str], RemoteError]:
    acknowledged: list[str] = []
    for number in range(200):
        try:
            await validator.RecordExecution(execution(number), timeout=30)
        except grpc.aio.AioRpcError as error:
            return acknowledged, RemoteError.from_rpc(error)
        acknowledged.append(f"e{number}")
    raise AssertionError("200 large writes fitted into the limit")


@pytest.mark.parametrize("small_disk", [limited_files, *([small_file_system] if _may_mount() else [])])
async def test_a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Callable[[Path], AbstractContextManager[SmallDisk]]
) -> None:
    with small_disk(tmp_path) as disk:
        db_path = disk.folder / "v.duckdb"
        async with validator_process(db_path) as (child, address), open_channel(address) as channel:
            validator = ValidatorServiceStub(channel)
            disk.fill(child.pid)
            acknowledged, error = await record_until_refused(validator)
            assert (error.code, error.reason, error.metadata["path"]) == ("INTERNAL", "DATABASE_FAILED", str(db_path))
            assert len(acknowledged) > 5
            metrics = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(), timeout=30)
            assert metrics.execution_count == len(acknowledged)
            sql = pb.QueryMetricsRequest(sql="SELECT count(*) AS n FROM executions")
            with contextlib.suppress(grpc.aio.AioRpcError):  # there may be no room for the copy
                await validator.QueryMetrics(sql, timeout=30).read()
            disk.make_room(child.pid)
            table, _ = await query(validator, sql.sql)
            assert table.to_pylist() == [{"n": len(acknowledged)}]
            answer = await validator.RecordExecution(execution(1000), timeout=30)
            assert (answer.newly_recorded, answer.execution_count) == (True, len(acknowledged) + 1)
            child.kill()
        async with validator_process(db_path) as (_, address), open_channel(address) as channel:
            status = await ValidatorServiceStub(channel).GetStorageStatus(pb.GetStorageStatusRequest(), timeout=30)
            assert (status.degraded, status.row_counts["executions"]) == (False, len(acknowledged) + 1)
        with duckdb.connect(str(db_path)) as connection:
            kept = connection.execute("SELECT execution_id, count(*) FROM runs GROUP BY ALL").fetchall()
            known = connection.execute("SELECT execution_id FROM executions").fetchall()
    assert dict(kept) == dict.fromkeys([*acknowledged, "e1000"], RUNS)
    assert sorted(row[0] for row in known) == sorted([*acknowledged, "e1000"])
