"""How fast records are put on disk, acknowledged and durable, beside DuckDB's own ways in the same run.

A row is a row of a table: an execution with four runs and its validation is six. Beside the validator's rates stand
`executemany` and one insert from an Arrow table per batch, both with the same columns of `executions` and nothing else:
no check for what is known, no runs, no validations, no high-water mark.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.build import build
from corun.validator.config import Settings
from corun.validator.converters import to_execution
from corun.validator.core.identity import execution_digest
from corun.validator.recordings import Recording
from corun.validator.rows import execution_row, utc
from corun.validator.schema import migrate, migrations
from corun.validator.store import Store
from tests.bench.report import show
from tests.validators import execution

SINGLE_COUNT = 200
AT_ONCE = 64
BATCH = 2_000
BATCHES = 5
RUNS = 4
ROWS_EACH = 1 + RUNS + 1


def messages(name: str, count: int) -> list[pb.ExecutionRecord]:
    """Executions with runs and a prediction."""
    return [execution(f"{name}-{number}", run_count=RUNS) for number in range(count)]


async def over_grpc(folder: Path) -> tuple[list[float], float, float]:
    """Milliseconds of single records; records a second of 64 callers at once; rows a second of whole batches."""
    settings = Settings(port=0, db_path=folder / "grpc.duckdb")
    server = Server(host=settings.host, port=settings.port, grace_seconds=0)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        stub = ValidatorServiceStub(channel)
        single = []
        for message in messages("single", SINGLE_COUNT):
            start = time.perf_counter()
            await stub.RecordExecution(pb.RecordExecutionRequest(execution=message))
            single.append((time.perf_counter() - start) * 1000)
        waiting = iter(messages("together", SINGLE_COUNT * 10))

        async def record_rest() -> None:
            for message in waiting:
                await stub.RecordExecution(pb.RecordExecutionRequest(execution=message))

        start = time.perf_counter()
        await asyncio.gather(*(record_rest() for _ in range(AT_ONCE)))
        together = SINGLE_COUNT * 10 / (time.perf_counter() - start)
        requests = [
            pb.RecordExecutionsRequest(executions=messages(f"batch{number}", BATCH), validate=True)
            for number in range(BATCHES)
        ]
        start = time.perf_counter()
        for request in requests:
            await stub.RecordExecutions(request)
        return single, together, BATCHES * BATCH * ROWS_EACH / (time.perf_counter() - start)


async def in_process(folder: Path) -> float:
    """Rows a second of the store alone, two batches under way at a time."""
    store = await Store.open(folder / "store.duckdb")
    batches = []
    for number in range(BATCHES):
        made = [to_execution(message) for message in messages(f"store{number}", BATCH)]
        batches.append([Recording(each, each.predicted) for each in made])
    start = time.perf_counter()
    for first in range(0, BATCHES, 2):
        await asyncio.gather(*(store.record_many(batch) for batch in batches[first : first + 2]))
    seconds = time.perf_counter() - start
    await store.close()
    return BATCHES * BATCH * ROWS_EACH / seconds


def raw(folder: Path, name: str, insert: Callable[[duckdb.DuckDBPyConnection, list[dict[str, object]]], None]) -> float:
    """Rows a second of DuckDB alone, a commit a batch."""
    rows = []
    for message in messages(name, BATCH):
        made = to_execution(message)
        rows.append(execution_row(made, digest=execution_digest(made), end_time=utc(None)))
    with duckdb.connect(str(folder / f"{name}.duckdb"), config={"threads": 2}) as connection:
        migrate(connection, migrations())
        start = time.perf_counter()
        connection.begin()
        insert(connection, rows)
        connection.commit()
        return BATCH / (time.perf_counter() - start)


def executemany(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, object]]) -> None:
    """A row a statement."""
    columns, places = ", ".join(rows[0]), ", ".join("?" for _ in rows[0])
    connection.executemany(
        f"INSERT INTO executions ({columns}) VALUES ({places})", [list(row.values()) for row in rows]
    )


def from_arrow(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, object]]) -> None:
    """All rows at once."""
    connection.register("given", pa.Table.from_pylist(rows))
    connection.execute("INSERT INTO executions BY NAME SELECT * FROM given")


async def bench() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(prefix="corun-bench-") as name:
        folder = Path(name)
        single, together, batched = await over_grpc(folder)
        stored = await in_process(folder)
        many = await asyncio.to_thread(raw, folder, "executemany", executemany)
        arrow = await asyncio.to_thread(raw, folder, "arrow", from_arrow)
    show(
        "one record at a time over gRPC, acknowledged on disk: what recording adds to an execution",
        [("RecordExecution", single)],
        ratio=f"{1000 * len(single) / sum(single):,.0f} acknowledged records/s by one caller, "
        f"{together:,.0f} by {AT_ONCE} at once",
    )
    table = Table("what", "rows/s", "of executemany", title=f"durable batches of {BATCH:,} executions")
    for what, rate in (
        (f"RecordExecutions over gRPC ({ROWS_EACH} rows an execution)", batched),
        (f"the store alone ({ROWS_EACH} rows an execution)", stored),
        ("DuckDB executemany, executions only", many),
        ("DuckDB from Arrow, executions only", arrow),
    ):
        table.add_row(what, f"{rate:,.0f}", f"{rate / many:,.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    asyncio.run(bench())
