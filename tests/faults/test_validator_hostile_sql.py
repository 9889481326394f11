"""SQL that means harm: refused or held to its limits with a clear error, while others write undisturbed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.validators import execution, query, refused, validator_process

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

MAY_GROW_BYTES = 150_000_000
SLOWEST_WRITE_SECONDS = 5.0

REFUSED = [
    "SELECT 1; DROP TABLE executions",
    "DROP TABLE executions",
    "DELETE FROM executions RETURNING *",
    "INSERT INTO executions SELECT * FROM executions",
    "UPDATE executions SET engine = 'x'",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "COPY executions TO '/tmp/stolen.csv'",
    "COPY (SELECT 1) TO '/tmp/stolen.parquet'",
    "EXPORT DATABASE '/tmp/stolen'",
    "ATTACH '/tmp/other.duckdb'",
    "DETACH record1",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 64",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA memory_limit = '100GB'",
    "PRAGMA database_list",
    "CALL force_checkpoint()",
    "CHECKPOINT",
    "EXPLAIN ANALYZE SELECT count(*) FROM executions",
    "PREPARE later AS SELECT 1",
    "VACUUM",
    "BEGIN TRANSACTION",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'https://example.org/x.csv'",
    "SELECT * FROM parquet_scan('/tmp/*.parquet')",
    "SELECT getenv('HOME')",
    "SELECT nextval('validation_sequence')",
    "SELECT * FROM query('DROP TABLE executions')",
    "SELECT * FROM connection",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM duckdb_secrets()",
    "SELECT $password",
    "SELECT * FROM read_duckdb('/tmp/other.duckdb')",
    "PIVOT executions ON platform USING count(*)",
    "MERGE INTO executions USING runs ON true WHEN MATCHED THEN DELETE",
]

LIMITED = [
    "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless",
    "SELECT count(*) FROM range(1000000000000)",
    "SELECT repeat('x', 1000000000)",
    "SELECT repeat(chr(65 + i::INTEGER), 100000000) FROM range(20) AS t(i)",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT md5(range::VARCHAR) FROM range(5000000)",
    "SELECT a.range FROM range(100000) AS a, range(100000) AS b ORDER BY a.range * b.range",
    pytest.param("SELECT " + "(" * 40_000 + "1" + ")" * 40_000, id="nested"),
]


@dataclass
class Load:
    """Somebody who records all the time."""

    validator: ValidatorServiceAsyncStub
    seconds: list[float] = field(default_factory=list)

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        for number in itertools.count():
            start = clock()
            request = pb.RecordExecutionRequest(execution=execution(f"load{number}"))
            await self.validator.RecordExecution(request, timeout=60)
            self.seconds.append(clock() - start)
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def under_load(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[ValidatorServiceAsyncStub, psutil.Process]]:
    """A validator and its process, while somebody records; afterwards neither may have suffered."""
    db_path = tmp_path_factory.mktemp("hostile") / "v.duckdb"
    settings = {"CORUN_VALIDATOR_QUERY_SECONDS": "1", "CORUN_VALIDATOR_QUERY_RESULT_BYTES": "10000000"}
    async with validator_process(db_path, **settings) as (child, address), open_channel(address) as channel:
        stub, process = ValidatorServiceStub(channel), psutil.Process(child.pid)
        load = Load(stub)
        recording = asyncio.create_task(load.run())
        await query(stub, "SELECT 1")
        before = process.memory_info().rss
        yield stub, process
        assert not recording.done()
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        assert process.memory_info().rss - before < MAY_GROW_BYTES
        assert len(load.seconds) > 50
        assert max(load.seconds) < SLOWEST_WRITE_SECONDS
        table, _ = await query(stub, "SELECT count(*)::INTEGER AS n FROM executions")
        assert table.to_pylist()[0]["n"] >= len(load.seconds)


async def test_what_is_not_for_users_is_refused(
    under_load: tuple[ValidatorServiceAsyncStub, psutil.Process],
) -> None:
    validator, _ = under_load

    async def error_of(sql: str) -> RemoteError:
        async with turns:
            return await refused(validator.QueryMetrics(pb.QueryMetricsRequest(sql=sql), timeout=60))

    turns = asyncio.Semaphore(4)
    errors = await asyncio.gather(*map(error_of, REFUSED))
    for sql, error in zip(REFUSED, errors, strict=True):
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), f"{sql}: {error.message[:200]}"
        assert error.message.startswith("sql: ")
        assert "root:" not in error.message


async def test_an_error_that_a_query_words_itself_is_cut_short(
    under_load: tuple[ValidatorServiceAsyncStub, psutil.Process],
) -> None:
    validator, _ = under_load
    request = pb.QueryMetricsRequest(sql="SELECT error(repeat('x', 2000000))")
    error = await refused(validator.QueryMetrics(request, timeout=60))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert 1_000 < len(error.message) < 3_000


@pytest.mark.parametrize("sql", LIMITED)
async def test_what_takes_or_gives_too_much_ends_at_a_limit(
    under_load: tuple[ValidatorServiceAsyncStub, psutil.Process], sql: str
) -> None:
    validator, process = under_load
    highest = 0

    async def watch() -> None:
        nonlocal highest
        while True:
            family = [process, *process.children(recursive=True)]
            sizes = []
            for each in family:
                try:
                    sizes.append(each.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            highest = max(highest, sum(sizes))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    error = await refused(validator.QueryMetrics(pb.QueryMetricsRequest(sql=sql), timeout=60))
    watching.cancel()
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "QUERY_LIMIT"), error.message[:200]
    assert "ask for less" in error.message
    assert highest < 1_200_000_000  # the service, and one query with its 600 MB and what it had loaded


async def test_no_variable_of_the_service_and_no_file_beside_the_copy_is_in_reach(
    under_load: tuple[ValidatorServiceAsyncStub, psutil.Process],
) -> None:
    validator, _ = under_load
    table, _ = await query(validator, "SELECT * FROM duckdb_settings() WHERE name = 'enable_external_access'")
    assert table.to_pylist()[0]["value"] == "false"
    table, _ = await query(validator, "SELECT count(*)::INTEGER AS n FROM duckdb_databases() WHERE NOT internal")
    assert table.to_pylist() == [{"n": 1}]


async def test_many_queries_at_once_take_turns_and_all_end(
    under_load: tuple[ValidatorServiceAsyncStub, psutil.Process],
) -> None:
    validator, _ = under_load
    answers = await asyncio.gather(*(query(validator, "SELECT 42 AS n") for _ in range(8)))
    assert [table.to_pylist() for table, _ in answers] == [[{"n": 42}]] * 8
