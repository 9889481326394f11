"""Recommendations and records of refinements, over real gRPC with a real database."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2 as core
from corun.v1 import predictor_service_pb2 as predictor
from corun.v1 import validator_service_pb2 as pb
from tests.fakes.validations import recorded, serving_validator

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

INCREMENTAL = predictor.REFINEMENT_METHOD_INCREMENTAL
WINDOW = predictor.REFINEMENT_METHOD_WINDOW


@pytest.fixture
async def validator(tmp_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    async with serving_validator(tmp_path / "v.duckdb", refinement_interval=5) as stub:
        yield stub


def refinement(refinement_id: str = "r1", **changes: Any) -> pb.ModelRefinement:
    content: dict[str, Any] = {
        "platform": core.PLATFORM_WASM,
        "method": WINDOW,
        "errors_before": pb.ErrorRates(latency=0.4, memory=0.1),
        "errors_after": pb.ErrorRates(latency=0.1, throughput=0.2),
        "accepted": True,
        "record_count": 20,
        "held_out_count": 5,
        "reason": "better on the newest records",
    }
    return pb.ModelRefinement(refinement_id=refinement_id, **{**content, **changes})


async def record(validator: ValidatorServiceAsyncStub, **changes: Any) -> pb.RecordModelRefinementResponse:
    request = pb.RecordModelRefinementRequest(refinement=refinement(**changes))
    return await validator.RecordModelRefinement(request)


async def recommended(validator: ValidatorServiceAsyncStub, **query: Any) -> pb.GetRefinementRecommendationsResponse:
    return await validator.GetRefinementRecommendations(pb.GetRefinementRecommendationsRequest(**query))


async def biased(validator: ValidatorServiceAsyncStub, count: int, *, prefix: str = "e", **content: Any) -> None:
    for number in range(count):
        await recorded(validator, f"{prefix}{number}", **{"latency": 0.4, **content})


async def refused(validator: ValidatorServiceAsyncStub, **changes: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await record(validator, **changes)
    return RemoteError.from_rpc(caught.value)


async def test_an_empty_record_recommends_nothing_and_says_why(validator: ValidatorServiceAsyncStub) -> None:
    answer = await recommended(validator)
    assert not answer.refinement_needed
    assert answer.recommended_method == predictor.REFINEMENT_METHOD_UNSPECIFIED
    assert "no validations yet" in answer.reason
    assert (answer.error_threshold, answer.refinement_interval) == (0.15, 5)


async def test_a_bias_asks_for_a_window_with_its_figures(validator: ValidatorServiceAsyncStub) -> None:
    await biased(validator, 12)
    await biased(validator, 2, prefix="n", platform="WEBNN")
    answer = await recommended(validator)
    assert answer.refinement_needed
    assert answer.recommended_method == WINDOW
    assert list(answer.affected_platforms) == [core.PLATFORM_WASM]
    assert list(answer.affected_strategies) == [core.STRATEGY_PARALLEL]
    assert answer.validation_count == 12
    assert "latency +40.0%" in answer.reason
    wasm, webnn = answer.findings
    assert list(wasm.consistent_biases) == ["latency"]
    assert wasm.bias.latency == pytest.approx(0.4)
    assert webnn.method == predictor.REFINEMENT_METHOD_UNSPECIFIED


async def test_the_callers_threshold_and_interval_hold(validator: ValidatorServiceAsyncStub) -> None:
    await biased(validator, 12)
    assert not (await recommended(validator, error_threshold=0.5)).refinement_needed
    later = await recommended(validator, refinement_interval=13)
    assert not later.refinement_needed
    assert "not due: 12 of 13" in later.reason


async def test_what_came_before_an_accepted_refinement_no_longer_counts(validator: ValidatorServiceAsyncStub) -> None:
    await biased(validator, 12)
    await record(validator)
    after = await recommended(validator)
    assert not after.refinement_needed
    assert "0 validations since its last refinement" in after.reason
    await biased(validator, 6, prefix="later", latency=0.01)
    good = await recommended(validator)
    assert (good.refinement_needed, good.recommended_method, good.validation_count) == (False, INCREMENTAL, 6)


async def test_a_refused_refinement_is_not_repeated_before_the_interval(validator: ValidatorServiceAsyncStub) -> None:
    await biased(validator, 12)
    await record(validator, accepted=False)
    waiting = await recommended(validator)
    assert (waiting.refinement_needed, waiting.validation_count) == (False, 12)
    await biased(validator, 5, prefix="later")
    assert (await recommended(validator)).refinement_needed


async def test_a_refinement_of_one_platform_leaves_others_alone(validator: ValidatorServiceAsyncStub) -> None:
    await biased(validator, 12)
    await record(validator, platform=core.PLATFORM_WEBNN)
    assert (await recommended(validator)).refinement_needed
    await record(validator, refinement_id="r2", platform=core.PLATFORM_UNSPECIFIED)
    assert not (await recommended(validator)).refinement_needed


async def test_a_refinement_is_kept_and_told_with_the_history(validator: ValidatorServiceAsyncStub) -> None:
    answer = await record(validator)
    assert (answer.newly_recorded, answer.refinement_count) == (True, 1)
    assert answer.improvement.latency == pytest.approx(0.75)  # (0.4 - 0.1) / 0.4
    assert not answer.improvement.HasField("throughput")  # has no before
    assert not answer.improvement.HasField("memory")  # has no after
    metrics = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(with_history=True))
    (kept,) = metrics.refinements
    assert kept.refine_time.seconds > 0
    kept.ClearField("refine_time")
    assert kept == refinement()


async def test_a_repetition_is_acknowledged_and_other_figures_are_a_conflict(
    validator: ValidatorServiceAsyncStub,
) -> None:
    await record(validator)
    again = await record(validator)
    assert (again.newly_recorded, again.refinement_count) == (False, 1)
    error = await refused(validator, record_count=21)
    assert (error.code, error.reason) == ("ALREADY_EXISTS", "EXECUTION_CONFLICT")
    assert error.violations[0].field == "refinement.refinement_id"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"refinement_id": ""}, "refinement.refinement_id"),
        ({"method": 0}, "refinement.method"),
        ({"errors_before": pb.ErrorRates(latency=-0.1)}, "refinement.errors_before.latency"),
        ({"errors_after": pb.ErrorRates(memory=math.nan)}, "refinement.errors_after.memory"),
        ({"errors_after": pb.ErrorRates(throughput=math.inf)}, "refinement.errors_after.throughput"),
        ({"errors_after": pb.ErrorRates(latency=1.1e12)}, "refinement.errors_after.latency"),
        ({"record_count": -1, "held_out_count": -1}, "refinement.record_count"),
        ({"held_out_count": 21}, "refinement.held_out_count"),
    ],
)
async def test_a_refinement_that_cannot_be_is_refused_by_its_field(
    validator: ValidatorServiceAsyncStub, changes: dict[str, Any], field: str
) -> None:
    error = await refused(validator, **changes)
    assert error.code == "INVALID_ARGUMENT"
    assert error.violations[0].field == field
    metrics = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(with_history=True))
    assert not metrics.refinements
