"""Many executions in one call, waiting writes and limits of age."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from corun.v1 import validator_service_pb2 as pb
from corun.validator.recovery import open_database
from corun.validator.retention import Retention, prune, used_bytes
from tests.validators import execution, query, refused, serving


async def test_new_known_and_refused_executions_are_told_apart_in_one_call(tmp_path: Path) -> None:
    async with serving(tmp_path / "v.duckdb") as stub:
        await stub.RecordExecution(pb.RecordExecutionRequest(execution=execution("known")))
        contradicting = execution("known")
        contradicting.measured.latency_ms = 7
        given = [execution(f"new{number}", run_count=3) for number in range(20)]
        given += [execution("known"), contradicting, execution("new0", run_count=3)]
        answer = await stub.RecordExecutions(pb.RecordExecutionsRequest(executions=given, validate=True))
        assert (answer.newly_recorded_count, answer.known_count, answer.execution_count) == (20, 2, 21)
        assert [(each.index, each.execution_id, each.reason) for each in answer.refused] == [
            (21, "known", "EXECUTION_CONFLICT")
        ]
        table, _ = await query(
            stub,
            "SELECT count(*)::INTEGER AS validations, count(DISTINCT validation_number)::INTEGER AS numbers, "
            "(SELECT count(*) FROM runs)::INTEGER AS runs FROM multi_model_validation_metrics",
        )
        assert table.to_pylist() == [{"validations": 21, "numbers": 21, "runs": 61}]


async def test_rows_through_arrow_are_the_same_as_single_ones(tmp_path: Path) -> None:
    async with serving(tmp_path / "v.duckdb") as stub:
        many = [execution(f"many{number}", latency_error=0.25) for number in range(9)]
        many[0].ClearField("predicted")  # the first of a column may be empty
        await stub.RecordExecutions(pb.RecordExecutionsRequest(executions=many, validate=True))
        single = execution("single", latency_error=0.25)
        await stub.ValidatePrediction(pb.ValidatePredictionRequest(execution=single))
        for name in ("executions", "multi_model_validation_metrics"):
            left_out = "execution_id, recorded_time, end_time" if name == "executions" else "execution_id, timestamp"
            left_out += "" if name == "executions" else ", validation_number"
            kept = f"SELECT DISTINCT COLUMNS(* EXCLUDE ({left_out})) FROM {name} WHERE execution_id <> 'many0'"
            table, _ = await query(stub, kept)
            assert table.num_rows == 1, table.to_pylist()


async def test_a_broken_figure_in_a_batch_is_named_by_its_place_and_nothing_is_written(tmp_path: Path) -> None:
    async with serving(tmp_path / "v.duckdb") as stub:
        broken = execution("broken")
        broken.measured.latency_ms = float("nan")
        late = execution("late")
        late.end_time.seconds = 10**15
        for wrong, field in ((broken, "executions[1].measured.latency_ms"), (late, "executions[1].end_time")):
            request = pb.RecordExecutionsRequest(executions=[execution("well"), wrong])
            error = await refused(stub.RecordExecutions(request))
            assert (error.code, {each.field for each in error.violations}) == ("INVALID_ARGUMENT", {field})
        assert (await stub.GetStorageStatus(pb.GetStorageStatusRequest())).row_counts["executions"] == 0


async def test_more_than_may_wait_is_refused_with_when_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path / "v.duckdb", write_capacity=10_000) as stub:
        requests = [
            pb.RecordExecutionsRequest(executions=[execution(f"{call}-{number}") for number in range(4000)])
            for call in range(6)
        ]
        answers = await asyncio.gather(*map(stub.RecordExecutions, requests), return_exceptions=True)
        refusals = [each for each in answers if isinstance(each, BaseException)]
        accepted = [each for each in answers if not isinstance(each, BaseException)]
        assert accepted
        assert refusals, "24,000 records found room among 10,000"
        error = await refused(_raised(refusals[0]))
        assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "WRITE_QUEUE_FULL")
        assert error.retry_after_seconds == 1
        status = await stub.GetStorageStatus(pb.GetStorageStatusRequest())
        assert status.row_counts["executions"] == 4000 * len(accepted)
        again = await stub.RecordExecutions(requests[0])
        assert again.newly_recorded_count + again.known_count == 4000


async def _raised(error: BaseException) -> None:
    raise error


async def test_what_is_older_than_the_limit_goes_and_the_rest_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "v.duckdb"
    async with serving(path) as stub:
        given = [execution(f"e{number}") for number in range(10)]
        await stub.RecordExecutions(pb.RecordExecutionsRequest(executions=given, validate=True))
    with duckdb.connect(str(path)) as connection:
        old = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=8)
        connection.execute("UPDATE executions SET recorded_time = ? WHERE execution_id < 'e4'", [old])
    async with serving(path, retention_days=7) as stub:
        status = await stub.GetStorageStatus(pb.GetStorageStatusRequest())
        assert {name: status.row_counts[name] for name in ("executions", "runs")} == {"executions": 6, "runs": 6}
        assert status.row_counts["multi_model_validation_metrics"] == 6
        assert not status.degraded
    async with serving(path) as stub:  # what was deleted on purpose is not missing
        assert not (await stub.GetStorageStatus(pb.GetStorageStatusRequest())).degraded


@pytest.mark.parametrize("limit_bytes", [1, 10**12])
def test_the_oldest_tenth_goes_while_the_file_is_too_large(tmp_path: Path, limit_bytes: int) -> None:
    opened = open_database(tmp_path / "v.duckdb")
    with opened.connection as connection:
        connection.execute(
            """
            INSERT INTO executions BY NAME SELECT
                'e' || range AS execution_id, TIMESTAMP '2026-01-01' AS end_time,
                TIMESTAMP '2026-01-01' + to_minutes(range) AS recorded_time, 'wasm' AS platform,
                'parallel' AS strategy, true AS strategy_chosen, 'latency' AS optimization_goal, '' AS engine,
                '' AS adapter, 1 AS model_count, '[]' AS model_configs, 1 AS iterations, '' AS predictor_version,
                1 AS measured_latency_ms, 1 AS measured_throughput_items_per_second, 1 AS measured_memory_mb,
                0 AS queue_time_ms, 0 AS load_time_ms, '' AS content_sha256
            FROM range(100)
            """
        )
        connection.execute("CHECKPOINT")
        assert used_bytes(connection) > 1
        gone = prune(connection, Retention(size_bytes=limit_bytes), datetime.now(UTC))
        assert gone == (10 if limit_bytes == 1 else 0)
        oldest = connection.execute("SELECT min(recorded_time) FROM executions").fetchall()[0][0]
        assert oldest == datetime(2026, 1, 1, 0, gone)  # noqa: DTZ001  (as the column has it)
    opened.mark.close()
