"""What the validator keeps, refuses and repeats, over real gRPC with a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.plumbing.status import RemoteError
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.build import build
from corun.validator.config import Settings
from corun.validator.schema import migrations

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub
from google.protobuf import json_format


@asynccontextmanager
async def serving(db_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    settings = Settings(port=0, db_path=db_path, grace_seconds=0.5)
    server = Server(host=settings.host, port=settings.port, grace_seconds=settings.grace_seconds)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        yield ValidatorServiceStub(channel)


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "validator.duckdb"


@pytest.fixture
async def validator(db_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    async with serving(db_path) as stub:
        yield stub


def figures(latency: float, throughput: float, memory: float) -> dict[str, float]:
    return {"latency_ms": latency, "throughput_items_per_second": throughput, "memory_mb": memory}


def execution(execution_id: str = "e1", **changes: Any) -> pb.ExecutionRecord:
    """Two models, one stage; the prediction is 20 % high on latency, exact on throughput, 50 % low on memory."""
    content: dict[str, Any] = {
        "execution_id": execution_id,
        "end_time": "2026-11-01T12:00:00.123456Z",
        "workload": {
            "models": [
                {"model_name": "bert", "model_type": "text_embedding", "batch_size": 4},
                {"model_name": "vit", "model_type": "vision", "batch_size": 1},
            ],
            "iterations": 2,
        },
        "platform": "PLATFORM_WASM",
        "strategy": "STRATEGY_PARALLEL",
        "strategy_chosen": True,
        "engine": "chromium",
        "adapter": "cpu",
        "plan": {
            "strategy": "STRATEGY_PARALLEL",
            "lane_widths": [1, 1],
            "stages": [
                {
                    "runs": [
                        {"model_name": "bert", "batch_size": 4, "lane": 0, "members": [0]},
                        {"model_name": "vit", "batch_size": 1, "lane": 1, "members": [1]},
                    ]
                }
            ],
        },
        "predictor_version": "7",
        "predicted": figures(120, 50, 100),
        "measured": figures(100, 50, 200),
        "runs": [
            {"model_name": "bert", "batch_size": 4, "lane_width": 1, "concurrency": 2, "run_time_ms": 90},
            {"model_name": "vit", "batch_size": 1, "lane_width": 1, "concurrency": 2, "run_time_ms": 60},
        ],
        "queue_time_ms": 3,
        "load_time_ms": 250,
    }
    kept = {name: value for name, value in (content | changes).items() if value is not None}
    return json_format.ParseDict(kept, pb.ExecutionRecord())


def comparison(comparison_id: str = "c1", **changes: Any) -> pb.RecordOptimizationImpactRequest:
    content: dict[str, Any] = {
        "comparison_id": comparison_id,
        "workload": {"models": [{"model_name": "bert", "batch_size": 1}]},
        "platform": "PLATFORM_WEBNN",
        "recommended": "STRATEGY_SEQUENTIAL",
        "best": "STRATEGY_SEQUENTIAL",
        "recommendation_correct": True,
        "improvement_percent": 12.5,
        "outcomes": [
            {"strategy": "STRATEGY_PARALLEL", "measured": figures(20, 50, 300)},
            {"strategy": "STRATEGY_SEQUENTIAL", "measured": figures(10, 100, 0)},
        ],
    }
    return json_format.ParseDict(content | changes, pb.RecordOptimizationImpactRequest())


def record(message: pb.ExecutionRecord) -> pb.RecordExecutionRequest:
    return pb.RecordExecutionRequest(execution=message)


def validate(message: pb.ExecutionRecord, **options: float) -> pb.ValidatePredictionRequest:
    return pb.ValidatePredictionRequest(execution=message, **options)


async def refused(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return RemoteError.from_rpc(caught.value)


def rows(db_path: Path, query: str) -> list[dict[str, Any]]:
    """Rows of the closed or open file; inside one process DuckDB shares it."""
    with duckdb.connect(
        str(db_path),
        config={
            "threads": 1,
            "memory_limit": "1GB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    ) as connection:
        result = connection.execute(query)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


async def test_an_execution_is_kept_with_its_figures_plan_and_runs(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    answer = await validator.RecordExecution(record(execution()))
    assert (answer.newly_recorded, answer.execution_count) == (True, 1)
    (kept,) = rows(db_path, "SELECT * FROM executions")
    assert kept["end_time"].isoformat() == "2026-11-01T12:00:00.123456"
    assert (kept["platform"], kept["strategy"], kept["optimization_goal"]) == ("wasm", "parallel", "latency")
    assert (kept["strategy_chosen"], kept["engine"], kept["adapter"]) == (True, "chromium", "cpu")
    assert (kept["model_count"], kept["iterations"], kept["predictor_version"]) == (2, 2, "7")
    assert json.loads(kept["model_configs"]) == [
        {"model_name": "bert", "model_type": "text_embedding", "batch_size": 4},
        {"model_name": "vit", "model_type": "vision", "batch_size": 1},
    ]
    assert [kept[f"predicted_{each}"] for each in figures(0, 0, 0)] == [120, 50, 100]
    assert [kept[f"measured_{each}"] for each in figures(0, 0, 0)] == [100, 50, 200]
    assert (kept["queue_time_ms"], kept["load_time_ms"]) == (3, 250)
    assert json.loads(kept["plan"]) == {
        "strategy": "parallel",
        "lane_widths": [1, 1],
        "stages": [
            [
                {"model_name": "bert", "batch_size": 4, "lane": 0, "members": [0]},
                {"model_name": "vit", "batch_size": 1, "lane": 1, "members": [1]},
            ]
        ],
    }
    runs = rows(db_path, "SELECT * FROM runs ORDER BY run_index")
    assert [tuple(run.values())[:7] for run in runs] == [
        ("e1", 0, "bert", 4, 1, 2, 90.0),
        ("e1", 1, "vit", 1, 1, 2, 60.0),
    ]


async def test_repeating_an_execution_is_acknowledged_and_changes_nothing(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    await validator.RecordExecution(record(execution()))
    before = rows(db_path, "SELECT * FROM executions")
    answer = await validator.RecordExecution(record(execution(end_time=None)))
    assert (answer.newly_recorded, answer.execution_count) == (False, 1)
    assert rows(db_path, "SELECT * FROM executions") == before
    assert len(rows(db_path, "SELECT * FROM runs")) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"measured": figures(100.5, 50, 200)},
        {"predicted": figures(121, 50, 100)},
        {"platform": "PLATFORM_WEBNN"},
        {"runs": []},
        {"load_time_ms": 251},
    ],
)
async def test_an_execution_known_with_other_figures_is_a_conflict(
    validator: ValidatorServiceAsyncStub, db_path: Path, changes: dict[str, Any]
) -> None:
    await validator.RecordExecution(record(execution()))
    for call in (
        validator.RecordExecution(record(execution(**changes))),
        validator.ValidatePrediction(validate(execution(**changes))),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == ("ALREADY_EXISTS", "EXECUTION_CONFLICT")
        assert error.metadata == {"execution_id": "e1"}
    assert [row["load_time_ms"] for row in rows(db_path, "SELECT * FROM executions")] == [250]
    assert rows(db_path, "SELECT * FROM multi_model_validation_metrics") == []


async def test_a_validation_keeps_errors_and_the_execution_that_was_not_on_record(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    answer = await validator.ValidatePrediction(validate(execution()))
    # |120-100|/100, |50-50|/50, |100-200|/200
    assert answer.errors == pb.ErrorRates(latency=0.2, throughput=0.0, memory=0.5)
    assert (answer.within_threshold, answer.validation_count) == (False, 1)
    assert len(rows(db_path, "SELECT * FROM executions")) == 1
    (kept,) = rows(db_path, "SELECT * FROM multi_model_validation_metrics")
    assert (kept["platform"], kept["strategy"], kept["engine"]) == ("wasm", "parallel", "chromium")
    assert (kept["predicted_latency"], kept["actual_latency"], kept["latency_error"]) == (120, 100, 0.2)
    assert (kept["predicted_throughput"], kept["actual_throughput"], kept["throughput_error"]) == (50, 50, 0)
    assert (kept["predicted_memory"], kept["actual_memory"], kept["memory_error"]) == (100, 200, 0.5)
    assert (kept["optimization_goal"], kept["predictor_version"], kept["model_count"]) == ("latency", "7", 2)
    assert kept["timestamp"].isoformat() == "2026-11-01T12:00:00.123456"


async def test_a_prediction_may_be_validated_after_its_execution_was_recorded_without_it(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    await validator.RecordExecution(record(execution(end_time=None, predicted=None, predictor_version=None)))
    answer = await validator.ValidatePrediction(validate(execution(end_time=None)))
    assert answer.errors.latency == 0.2
    assert len(rows(db_path, "SELECT * FROM executions")) == 1
    joined = "executions AS e JOIN multi_model_validation_metrics AS v USING (execution_id)"
    times = rows(db_path, f"SELECT e.end_time = v.timestamp AS same FROM {joined}")
    assert times == [{"same": True}]
    other = await refused(validator.RecordExecution(record(execution(predicted=figures(1, 1, 1)))))
    assert other.reason == "EXECUTION_CONFLICT"


async def test_repeating_a_validation_answers_the_same_and_counts_once(validator: ValidatorServiceAsyncStub) -> None:
    first = await validator.ValidatePrediction(validate(execution()))
    assert await validator.ValidatePrediction(validate(execution())) == first
    other = await refused(validator.ValidatePrediction(validate(execution(predicted=figures(1, 1, 1)))))
    assert other.reason == "EXECUTION_CONFLICT"


async def test_the_threshold_is_the_requests_where_it_gives_one(validator: ValidatorServiceAsyncStub) -> None:
    small = execution(predicted=figures(114, 50, 200))  # 14 % high on latency
    assert (await validator.ValidatePrediction(validate(small))).within_threshold
    assert not (await validator.ValidatePrediction(validate(small, error_threshold=0.1))).within_threshold
    for wrong in (0.0, 101.0, float("nan")):
        error = await refused(validator.ValidatePrediction(validate(small, error_threshold=wrong)))
        assert {each.field for each in error.violations} == {"error_threshold"}


async def test_a_memory_measured_as_zero_has_no_error(validator: ValidatorServiceAsyncStub, db_path: Path) -> None:
    answer = await validator.ValidatePrediction(validate(execution(measured=figures(120, 50, 0))))
    assert not answer.errors.HasField("memory")
    assert answer.within_threshold
    assert [row["memory_error"] for row in rows(db_path, "SELECT * FROM multi_model_validation_metrics")] == [None]


async def test_a_prediction_is_required_to_validate(validator: ValidatorServiceAsyncStub, db_path: Path) -> None:
    error = await refused(validator.ValidatePrediction(validate(execution(predicted=None))))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert "predicted is required" in error.message
    assert rows(db_path, "SELECT * FROM executions") == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("measured.latency_ms", float("nan")),
        ("measured.latency_ms", 0.0),
        ("measured.latency_ms", 1.1e12),
        ("predicted.throughput_items_per_second", 1e-10),
        ("measured.throughput_items_per_second", float("inf")),
        ("measured.memory_mb", -1.0),
        ("predicted.memory_mb", float("nan")),
        ("queue_time_ms", float("nan")),
        ("load_time_ms", -1.0),
        ("runs[0].run_time_ms", float("nan")),
    ],
)
async def test_a_figure_out_of_all_reason_is_named_and_nothing_is_written(
    validator: ValidatorServiceAsyncStub, db_path: Path, field: str, wrong: float
) -> None:
    broken = execution()
    *path, name = field.split(".")
    holder: Any = broken
    for step in path:
        holder = holder.runs[0] if step == "runs[0]" else getattr(holder, step)
    setattr(holder, name, wrong)
    for call in (validator.RecordExecution(record(broken)), validator.ValidatePrediction(validate(broken))):
        error = await refused(call)
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        assert {each.field for each in error.violations} == {f"execution.{field}"}
    assert rows(db_path, "SELECT execution_id FROM executions UNION ALL SELECT execution_id FROM runs") == []


async def test_values_beyond_the_annotated_rules_are_named_too(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    late = execution()
    late.end_time.seconds = 10**15
    negative = execution()
    negative.runs[1].batch_size = -1
    tiny = execution(measured=figures(100, 50, 5e-324))  # a quotient by it overflows
    wordy = execution(engine="x" * 65)
    for message, field in (
        (late, "execution.end_time"),
        (negative, "execution.runs[1].batch_size"),
        (tiny, "execution.measured.memory_mb"),
        (wordy, "execution.engine"),
    ):
        error = await refused(validator.ValidatePrediction(validate(message)))
        assert (error.code, [each.field for each in error.violations]) == ("INVALID_ARGUMENT", [field])
    assert rows(db_path, "SELECT * FROM executions") == []


async def test_a_comparison_is_kept_once_and_contradictions_are_refused(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    for _ in range(2):
        assert (await validator.RecordOptimizationImpact(comparison())).comparison_count == 1
    error = await refused(validator.RecordOptimizationImpact(comparison(improvement_percent=13)))
    assert (error.code, error.reason) == ("ALREADY_EXISTS", "EXECUTION_CONFLICT")
    assert error.metadata == {"comparison_id": "c1"}
    (kept,) = rows(db_path, "SELECT * FROM multi_model_optimization_impact")
    assert (kept["recommended_strategy"], kept["best_strategy"]) == ("sequential", "sequential")
    assert (kept["recommendation_correct"], kept["improvement_percent"]) == (True, 12.5)
    assert json.loads(kept["strategy_results"]) == {
        "parallel": {"latency": 20, "throughput": 50, "memory": 300},
        "sequential": {"latency": 10, "throughput": 100, "memory": 0},
    }


async def test_a_comparison_must_hold_each_strategy_once_and_the_best_one(validator: ValidatorServiceAsyncStub) -> None:
    twice = comparison(outcomes=[{"strategy": "STRATEGY_SEQUENTIAL", "measured": figures(1, 1, 1)}] * 2)
    unmeasured = comparison(best="STRATEGY_BATCHED")
    not_finite = comparison()
    not_finite.improvement_percent = float("inf")
    for message, field in (
        (twice, "outcomes[1].strategy"),
        (unmeasured, "best"),
        (not_finite, "improvement_percent"),
    ):
        error = await refused(validator.RecordOptimizationImpact(message))
        assert (error.code, [each.field for each in error.violations]) == ("INVALID_ARGUMENT", [field])


async def test_what_was_acknowledged_is_there_after_a_restart(db_path: Path) -> None:
    async with serving(db_path) as validator:
        await validator.ValidatePrediction(validate(execution()))
        await validator.RecordOptimizationImpact(comparison())
    async with serving(db_path) as validator:
        assert not (await validator.RecordExecution(record(execution()))).newly_recorded
        assert (await validator.ValidatePrediction(validate(execution("e2")))).validation_count == 2
        assert (await validator.RecordOptimizationImpact(comparison("c2"))).comparison_count == 2
    versions = [row["version"] for row in rows(db_path, "SELECT * FROM schema_migrations ORDER BY version")]
    assert versions == [step.version for step in migrations()]


async def test_of_many_callers_recording_the_same_execution_at_once_one_is_told_that_it_is_new(
    validator: ValidatorServiceAsyncStub, db_path: Path
) -> None:
    answers = await asyncio.gather(*(validator.RecordExecution(record(execution())) for _ in range(20)))
    assert sorted(answer.newly_recorded for answer in answers) == [False] * 19 + [True]
    assert {answer.execution_count for answer in answers} == {1}
    assert len(rows(db_path, "SELECT * FROM runs")) == 2


async def test_an_abandoned_write_leaves_the_record_whole(validator: ValidatorServiceAsyncStub, db_path: Path) -> None:
    calls = [validator.ValidatePrediction(validate(execution(f"e{number}"))) for number in range(50)]
    await calls[0]
    for call in calls:
        call.cancel()
    assert (await validator.ValidatePrediction(validate(execution("after")))).errors.latency == 0.2
    (counts,) = rows(
        db_path,
        "SELECT (SELECT count(*) FROM executions) AS executions, (SELECT count(*) FROM runs) AS runs, "
        "(SELECT count(*) FROM multi_model_validation_metrics) AS validations",
    )
    assert counts["runs"] == 2 * counts["executions"]
    assert counts["validations"] == counts["executions"] >= 2


async def test_an_execution_of_many_runs_keeps_every_one(validator: ValidatorServiceAsyncStub, db_path: Path) -> None:
    many = execution()
    del many.runs[:]
    for index in range(20_000):
        many.runs.add(model_name=f"model-{index % 7}", batch_size=1, lane_width=1, concurrency=1, run_time_ms=index)
    await validator.RecordExecution(record(many))
    (sums,) = rows(db_path, "SELECT count(*) AS runs, sum(run_time_ms) AS total, max(run_index) AS last FROM runs")
    assert sums == {"runs": 20_000, "total": sum(range(20_000)), "last": 19_999}
