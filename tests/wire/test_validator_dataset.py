"""What GenerateValidationDataset gives back of what was recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from tests.fakes.validations import execution, recorded, serving_validator

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

PLAN = core.Plan(
    strategy=core.STRATEGY_BATCHED,
    stages=[
        core.Stage(
            runs=[
                core.PlannedRun(model_name="bert", batch_size=8, lane=0, members=[0, 1]),
                core.PlannedRun(model_name="vit", batch_size=1, lane=1, members=[2]),
            ]
        )
    ],
    lane_widths=[1, 1],
    replicas=2,
)


@pytest.fixture
async def validator(tmp_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    async with serving_validator(tmp_path / "v.duckdb") as stub:
        yield stub


def complete(execution_id: str = "whole") -> pb.ExecutionRecord:
    """An execution with everything that can be told of one."""
    runs = [
        pb.RecordedRun(
            model_name=name,
            batch_size=size,
            lane_width=1,
            concurrency=4,
            run_time_ms=10.5 + iteration,
            stage=0,
            run=place,
            iteration=iteration,
            replica=iteration % 2,
            engine="firefox" if place else "",
        )
        for iteration in range(3)
        for place, (name, size) in enumerate((("bert", 8), ("vit", 1)))
    ]
    record = pb.ExecutionRecord(
        execution_id=execution_id,
        workload=core.Workload(
            models=[
                core.ModelConfig(model_name="bert", model_type="text_embedding", batch_size=4),
                core.ModelConfig(model_name="bert", model_type="text_embedding", batch_size=4),
                core.ModelConfig(model_name="vit", model_type="vision", batch_size=1),
            ],
            iterations=3,
        ),
        platform=core.PLATFORM_WEBGPU,
        strategy=core.STRATEGY_BATCHED,
        goal=core.OPTIMIZATION_GOAL_THROUGHPUT,
        strategy_chosen=True,
        engine="chromium",
        adapter="SwiftShader",
        plan=PLAN,
        predictor_version="refined 3",
        predicted=pb.RecordedPerformance(latency_ms=30, throughput_items_per_second=280.5, memory_mb=400),
        measured=pb.RecordedPerformance(latency_ms=20.25, throughput_items_per_second=300, memory_mb=0),
        runs=runs,
        queue_time_ms=1.5,
        load_time_ms=99,
        core_count=4,
    )
    record.end_time.FromJsonString("2026-11-01T12:00:00.123456Z")
    return record


async def dataset(validator: ValidatorServiceAsyncStub, **query: Any) -> list[pb.ValidationRecord]:
    call = validator.GenerateValidationDataset(pb.GenerateValidationDatasetRequest(**query))
    return [response.record async for response in call]


def ids(records: list[pb.ValidationRecord]) -> list[str]:
    return [record.execution.execution_id for record in records]


async def test_a_record_comes_back_as_it_was_told(validator: ValidatorServiceAsyncStub) -> None:
    told = complete()
    await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=told))
    (record,) = await dataset(validator)
    assert record.execution == told
    assert record.validated
    assert record.errors == pb.ErrorRates(latency=9.75 / 20.25, throughput=19.5 / 300)  # memory was measured as 0
    assert record.bias == pb.SignedErrors(latency=9.75 / 20.25, throughput=-19.5 / 300)


async def test_what_was_not_told_stays_untold(validator: ValidatorServiceAsyncStub) -> None:
    bare = execution("bare", runs=[pb.RecordedRun(model_name="bert", batch_size=1, run_time_ms=5)])
    await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=bare))
    (record,) = await dataset(validator)
    assert record.execution.runs[0] == bare.runs[0]
    assert not record.execution.HasField("core_count")
    assert not record.execution.HasField("plan")


async def test_executions_without_a_validation_come_when_asked_for(validator: ValidatorServiceAsyncStub) -> None:
    await recorded(validator, "validated")
    await validator.RecordExecution(pb.RecordExecutionRequest(execution=execution("only recorded")))
    assert ids(await dataset(validator)) == ["validated"]
    records = await dataset(validator, with_unvalidated=True)
    assert ids(records) == ["validated", "only recorded"]
    assert not records[1].validated
    assert records[1].errors == pb.ErrorRates()
    assert records[1].execution.HasField("predicted")


async def test_a_prediction_that_came_later_is_in_the_record(validator: ValidatorServiceAsyncStub) -> None:
    later = execution("later")
    first = execution("later")
    first.ClearField("predicted")
    first.predictor_version = ""
    await validator.RecordExecution(pb.RecordExecutionRequest(execution=first))
    await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=later))
    (record,) = await dataset(validator)
    assert (record.execution.predicted, record.execution.predictor_version) == (later.predicted, "1")


async def test_filters_and_the_newest_in_the_order_of_recording(validator: ValidatorServiceAsyncStub) -> None:
    for number in range(6):
        platform = "WASM" if number % 2 else "WEBNN"
        strategy = "PARALLEL" if number < 4 else "SEQUENTIAL"
        await recorded(validator, f"e{number}", platform=platform, strategy=strategy)
    assert ids(await dataset(validator)) == [f"e{number}" for number in range(6)]
    assert ids(await dataset(validator, max_record_count=2)) == ["e4", "e5"]
    assert ids(await dataset(validator, platform=core.PLATFORM_WASM)) == ["e1", "e3", "e5"]
    assert ids(await dataset(validator, platform=core.PLATFORM_WASM, strategy=core.STRATEGY_PARALLEL)) == ["e1", "e3"]
    assert ids(await dataset(validator, engine="firefox")) == []


async def test_only_later_executions_come_after_a_time(validator: ValidatorServiceAsyncStub) -> None:
    await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=complete()))
    await recorded(validator, "now")
    after = complete().end_time
    assert ids(await dataset(validator, after_time=after)) == ["now"]
    after.nanos -= 1000
    assert ids(await dataset(validator, after_time=after)) == ["whole", "now"]


async def test_more_than_a_page_comes_whole(
    validator: ValidatorServiceAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corun.validator.dataset_reads._PAGE_RUNS", 100)
    runs = [pb.RecordedRun(model_name="bert", batch_size=1, lane_width=1, run_time_ms=1)]
    for number in range(5):
        await recorded(validator, f"e{number}", runs=runs * (150 if number == 2 else 60))
    records = await dataset(validator)
    assert [len(record.execution.runs) for record in records] == [60, 60, 150, 60, 60]


async def test_an_empty_record_gives_an_empty_stream(validator: ValidatorServiceAsyncStub) -> None:
    assert await dataset(validator) == []


async def test_a_reader_that_stops_early_leaves_the_validator_in_order(validator: ValidatorServiceAsyncStub) -> None:
    for number in range(20):
        await recorded(validator, f"e{number}")
    call = validator.GenerateValidationDataset(pb.GenerateValidationDatasetRequest())
    async for _ in call:
        break
    call.cancel()
    assert len(await dataset(validator)) == 20


@pytest.mark.parametrize("count", [0, -1, 1_000_001])
async def test_a_count_out_of_range_is_refused(validator: ValidatorServiceAsyncStub, count: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await dataset(validator, max_record_count=count)
    assert [each.field for each in RemoteError.from_rpc(caught.value).violations] == ["max_record_count"]
