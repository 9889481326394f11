"""SQL of users, export and status over real gRPC; each query runs in a process of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from corun.v1 import validator_service_pb2 as pb
from tests.validators import execution, query, refused, serving

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub


@pytest.fixture(scope="module")
async def validator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ValidatorServiceAsyncStub]:
    """Three validated executions, in a database that the tests of this module only read."""
    db_path = tmp_path_factory.mktemp("queries") / "v.duckdb"
    async with serving(db_path, query_seconds=5) as stub:
        request = pb.RecordExecutionsRequest(
            executions=[execution(f"e{number}", latency_error=number / 10) for number in range(3)], validate=True
        )
        await stub.RecordExecutions(request)
        yield stub


async def test_a_select_is_answered_with_types_and_all_rows(validator: ValidatorServiceAsyncStub) -> None:
    sql = "SELECT execution_id, latency_error, timestamp FROM multi_model_validation_metrics ORDER BY ALL;"
    table, summary = await query(validator, sql)
    assert table.column("execution_id").to_pylist() == ["e0", "e1", "e2"]
    assert table.column("latency_error").to_pylist() == pytest.approx([0, 0.1, 0.2])
    assert pa.types.is_timestamp(table.schema.field("timestamp").type)
    assert summary.query_time_ms > 0


async def test_no_rows_are_an_answer_with_columns(validator: ValidatorServiceAsyncStub) -> None:
    table, _ = await query(validator, "SELECT execution_id FROM executions WHERE false")
    assert (table.num_rows, table.column_names) == (0, ["execution_id"])


async def test_an_answer_has_what_was_acknowledged_before_it(tmp_path: Path) -> None:
    async with serving(tmp_path / "v.duckdb") as stub:
        for number in range(3):
            await stub.RecordExecution(pb.RecordExecutionRequest(execution=execution(f"e{number}")))
            table, _ = await query(stub, "SELECT count(*)::INTEGER AS n FROM executions")
            assert table.to_pylist() == [{"n": number + 1}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "sql"),
        ("   ", "0 statements"),
        ("SELEKT 1", "syntax error"),
        ("SELECT nothing FROM executions", "nothing"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT ?", "parameters"),
        ("DELETE FROM executions", "DELETE"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN"),
    ],
)
async def test_what_is_no_single_select_is_refused_with_duckdbs_words(
    validator: ValidatorServiceAsyncStub, sql: str, said: str
) -> None:
    error = await refused(validator.QueryMetrics(pb.QueryMetricsRequest(sql=sql)))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [each.field for each in error.violations] == ["sql"]
    assert said in error.message


async def test_more_rows_than_asked_for_are_refused_not_cut_off(validator: ValidatorServiceAsyncStub) -> None:
    error = await refused(validator.QueryMetrics(pb.QueryMetricsRequest(sql="FROM executions", max_rows=2)))
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "QUERY_LIMIT")
    assert "more than 2 rows" in error.message
    table, _ = await query(validator, "FROM executions", max_rows=3)
    assert table.num_rows == 3


async def test_a_query_that_was_given_up_leaves_no_process(validator: ValidatorServiceAsyncStub) -> None:
    call = validator.QueryMetrics(pb.QueryMetricsRequest(sql="SELECT count(*) FROM range(1000000000000)"))
    reading = asyncio.ensure_future(call.read())
    async with asyncio.timeout(20):
        while not query_processes():  # noqa: ASYNC110  (another process tells no event)
            await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        while query_processes():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def query_processes() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "corun.validator.query_process" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def exported(validator: ValidatorServiceAsyncStub, request: pb.ExportMetricsRequest) -> bytes:
    return b"".join([part.chunk async for part in validator.ExportMetrics(request)])


async def test_a_table_is_exported_as_parquet_or_csv(validator: ValidatorServiceAsyncStub) -> None:
    parquet = pa.parquet.read_table(io.BytesIO(await exported(validator, pb.ExportMetricsRequest())))
    assert sorted(parquet.column("execution_id").to_pylist()) == ["e0", "e1", "e2"]
    request = pb.ExportMetricsRequest(table="runs", format=pb.EXPORT_FORMAT_CSV)
    csv = pa.csv.read_csv(io.BytesIO(await exported(validator, request)))
    assert csv.column("run_time_ms").to_pylist() == [9, 9, 9]


async def test_a_table_that_is_not_there_is_refused_with_those_that_are(validator: ValidatorServiceAsyncStub) -> None:
    for name in ("nothing", 'runs"; DROP TABLE runs; --', "sqlite_master"):
        error = await refused(validator.ExportMetrics(pb.ExportMetricsRequest(table=name)))
        assert (error.code, [each.field for each in error.violations]) == ("INVALID_ARGUMENT", ["table"])
        assert "multi_model_validation_metrics" in error.message


async def test_status_has_rows_size_and_no_loss(validator: ValidatorServiceAsyncStub) -> None:
    status = await validator.GetStorageStatus(pb.GetStorageStatusRequest())
    assert status.row_counts["executions"] == status.row_counts["runs"] == 3
    assert status.row_counts["multi_model_validation_metrics"] == 3
    assert status.size_bytes > 10_000
    assert (status.degraded, list(status.incidents)) == (False, [])
