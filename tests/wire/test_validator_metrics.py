"""What GetValidationMetrics answers, against figures worked out by hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator import reads
from corun.validator.build import build
from corun.validator.config import Settings
from corun.validator.core.metrics import Metrics, Selection

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

WORKLOAD = core.Workload(models=[core.ModelConfig(model_name="bert", batch_size=1)])
MEASURED = pb.RecordedPerformance(latency_ms=100, throughput_items_per_second=10, memory_mb=50)


@pytest.fixture
async def validator(tmp_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    settings = Settings(port=0, db_path=tmp_path / "v.duckdb", grace_seconds=0.5, recent_count=2, error_threshold=0.1)
    server = Server(host=settings.host, port=settings.port, grace_seconds=settings.grace_seconds)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        yield ValidatorServiceStub(channel)


def execution(
    number: int, *, platform: str, strategy: str, latency: float, throughput: float, memory: float | None
) -> pb.ExecutionRecord:
    """An execution whose prediction has the given relative errors; memory None: measured as 0."""
    measured = pb.RecordedPerformance()
    measured.CopyFrom(MEASURED)
    if memory is None:
        measured.memory_mb = 0
    return pb.ExecutionRecord(
        execution_id=f"e{number}",
        workload=WORKLOAD,
        platform=core.Platform.Value(f"PLATFORM_{platform}"),
        strategy=core.Strategy.Value(f"STRATEGY_{strategy}"),
        measured=measured,
        predicted=pb.RecordedPerformance(
            latency_ms=100 * (1 + latency),
            throughput_items_per_second=10 * (1 - throughput),
            memory_mb=50 * (1 + (memory or 0)),
        ),
    )


FOUR = [
    execution(1, platform="WASM", strategy="PARALLEL", latency=0.5, throughput=0.25, memory=1.0),
    execution(2, platform="WASM", strategy="SEQUENTIAL", latency=0.25, throughput=0.5, memory=None),
    execution(3, platform="WEBNN", strategy="PARALLEL", latency=0.0, throughput=0.75, memory=0.5),
    execution(4, platform="WASM", strategy="PARALLEL", latency=0.25, throughput=0.5, memory=0.0),
]


async def record_four(validator: ValidatorServiceAsyncStub) -> None:
    for each in FOUR:
        await validator.ValidatePrediction(pb.ValidatePredictionRequest(execution=each))
    unvalidated = execution(5, platform="WEBGPU", strategy="BATCHED", latency=0, throughput=0, memory=0)
    await validator.RecordExecution(pb.RecordExecutionRequest(execution=unvalidated))


def rates(latency: float, throughput: float, memory: float | None) -> pb.ErrorRates:
    return pb.ErrorRates(latency=latency, throughput=throughput, memory=memory)


def told(summary: pb.ErrorSummary) -> pb.ErrorSummary:
    """Count and mean errors only."""
    return pb.ErrorSummary(validation_count=summary.validation_count, average=summary.average, recent=summary.recent)


async def test_an_empty_record_has_counts_of_zero_and_no_rates(
    validator: ValidatorServiceAsyncStub, tmp_path: Path
) -> None:
    answer = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(without_trends=True))
    none = pb.ErrorSummary()
    for field in ("average", "recent", "earlier", "bias", "recent_bias"):
        getattr(none, field).SetInParent()
    assert answer == pb.GetValidationMetricsResponse(
        overall=none,
        optimization_impact=pb.OptimizationImpact(),
        error_threshold=0.1,
        database_path=str(tmp_path / "v.duckdb"),
    )


async def test_errors_are_averaged_over_all_and_the_newest_of_each_group(validator: ValidatorServiceAsyncStub) -> None:
    await record_four(validator)
    answer = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest())
    assert (answer.validation_count, answer.execution_count) == (4, 5)
    # All: latency (0.5+0.25+0+0.25)/4, throughput (0.25+0.5+0.75+0.5)/4, memory (1+0.5+0)/3.
    # Newest two: latency (0+0.25)/2, throughput (0.75+0.5)/2, memory (0.5+0)/2.
    assert told(answer.overall) == pb.ErrorSummary(
        validation_count=4, average=rates(0.25, 0.5, 0.5), recent=rates(0.125, 0.625, 0.25)
    )
    assert set(answer.by_platform) == {"wasm", "webnn"}
    assert told(answer.by_platform["webnn"]) == pb.ErrorSummary(
        validation_count=1, average=rates(0, 0.75, 0.5), recent=rates(0, 0.75, 0.5)
    )
    wasm = answer.by_platform["wasm"]  # executions 1, 2 and 4; the newest are 2, which has no memory error, and 4
    assert wasm.validation_count == 3
    assert wasm.average.latency == pytest.approx((0.5 + 0.25 + 0.25) / 3)
    assert wasm.average.throughput == pytest.approx((0.25 + 0.5 + 0.5) / 3)
    assert wasm.average.memory == 0.5
    assert wasm.recent == rates(0.25, 0.5, 0.0)
    assert set(answer.by_strategy) == {"parallel", "sequential"}
    sequential = rates(0.25, 0.5, None)
    assert told(answer.by_strategy["sequential"]) == pb.ErrorSummary(
        validation_count=1, average=sequential, recent=sequential
    )
    assert answer.by_strategy["parallel"].average == rates(0.25, 0.5, 0.5)  # executions 1, 3 and 4
    assert answer.by_strategy["parallel"].recent == rates(0.125, 0.625, 0.25)  # executions 3 and 4


async def test_filters_select_a_platform_a_strategy_or_both(validator: ValidatorServiceAsyncStub) -> None:
    await record_four(validator)
    wasm = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(platform=core.PLATFORM_WASM))
    assert (wasm.validation_count, wasm.execution_count) == (3, 3)
    assert set(wasm.by_platform) == {"wasm"}
    assert set(wasm.by_strategy) == {"parallel", "sequential"}
    both = await validator.GetValidationMetrics(
        pb.GetValidationMetricsRequest(platform=core.PLATFORM_WASM, strategy=core.STRATEGY_PARALLEL)
    )
    assert (both.validation_count, both.execution_count) == (2, 2)
    assert both.overall.average == rates(0.375, 0.375, 0.5)  # executions 1 and 4
    none = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(platform=core.PLATFORM_WEBGPU))
    assert (none.validation_count, none.execution_count) == (0, 1)
    assert none.overall.average == pb.ErrorRates()


async def test_recent_means_the_newest_on_record_as_many_as_asked_for(validator: ValidatorServiceAsyncStub) -> None:
    await record_four(validator)
    one = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(recent_count=1))
    assert one.overall.recent == rates(0.25, 0.5, 0.0)  # execution 4
    many = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(recent_count=100_000))
    assert many.overall.recent == many.overall.average
    for wrong in (0, -1, 100_001):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(recent_count=wrong))
        error = RemoteError.from_rpc(caught.value)
        assert [each.field for each in error.violations] == ["recent_count"]


async def test_impact_averages_the_gain_and_counts_what_was_best(validator: ValidatorServiceAsyncStub) -> None:
    made = [("WASM", "PARALLEL", "PARALLEL", 20.0), ("WASM", "PARALLEL", "BATCHED", -5.0)]
    made += [("WEBNN", "SEQUENTIAL", "SEQUENTIAL", 15.0), ("WASM", "SEQUENTIAL", "PARALLEL", 10.0)]
    for number, (platform, recommended, best, improvement) in enumerate(made):
        await validator.RecordOptimizationImpact(
            pb.RecordOptimizationImpactRequest(
                comparison_id=f"c{number}",
                workload=WORKLOAD,
                platform=core.Platform.Value(f"PLATFORM_{platform}"),
                recommended=core.Strategy.Value(f"STRATEGY_{recommended}"),
                best=core.Strategy.Value(f"STRATEGY_{best}"),
                recommendation_correct=recommended == best,
                improvement_percent=improvement,
                outcomes=[pb.StrategyOutcome(strategy=core.Strategy.Value(f"STRATEGY_{best}"), measured=MEASURED)],
            )
        )
    impact = (await validator.GetValidationMetrics(pb.GetValidationMetricsRequest())).optimization_impact
    assert impact.comparison_count == 4
    assert impact.average_improvement_percent == 10.0  # (20 - 5 + 15 + 10) / 4
    assert impact.recommendation_accuracy == 0.5
    assert dict(impact.best_strategy_counts) == {"parallel": 2, "sequential": 1, "batched": 1}
    request = pb.GetValidationMetricsRequest(platform=core.PLATFORM_WASM, strategy=core.STRATEGY_PARALLEL)
    chosen = (await validator.GetValidationMetrics(request)).optimization_impact
    assert (chosen.comparison_count, chosen.average_improvement_percent) == (2, 7.5)  # recommended parallel on wasm


async def test_slow_answers_hold_up_no_record(
    validator: ValidatorServiceAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, summed_up = threading.Event(), reads.metrics

    def metrics(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Metrics:
        slow.wait(30)
        return summed_up(cursor, selection)

    monkeypatch.setattr(reads, "metrics", metrics)
    calls = [validator.GetValidationMetrics(pb.GetValidationMetricsRequest()) for _ in range(64)]
    await asyncio.sleep(0.1)
    answer = await validator.RecordExecution(pb.RecordExecutionRequest(execution=FOUR[0]), timeout=10)
    assert answer.newly_recorded
    slow.set()
    assert {(await call).validation_count for call in calls} == {0}
