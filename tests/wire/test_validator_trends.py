"""Windows, bias, trends, drift and history of GetValidationMetrics, on series whose truth is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from tests.fakes.error_series import noise
from tests.fakes.validations import recorded, serving_validator

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub


@pytest.fixture
async def validator(tmp_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    async with serving_validator(tmp_path / "v.duckdb", recent_count=5) as stub:
        yield stub


async def metrics(validator: ValidatorServiceAsyncStub, **query: object) -> pb.GetValidationMetricsResponse:
    return await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(**query))  # type: ignore[arg-type]


async def record(validator: ValidatorServiceAsyncStub, errors: Sequence[float], *, platform: str = "WASM") -> None:
    for number, error in enumerate(errors):
        await recorded(validator, f"{platform}{number}", latency=error, platform=platform)


async def test_recent_and_earlier_are_windows_of_their_own(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.9] * 3 + [0.2] * 5 + [-0.1] * 5)
    overall = (await metrics(validator)).overall
    assert overall.recent.latency == pytest.approx(0.1)
    assert overall.earlier.latency == pytest.approx(0.2)
    assert overall.average.latency == pytest.approx((3 * 0.9 + 5 * 0.2 + 5 * 0.1) / 13)


async def test_bias_keeps_its_sign(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.4, 0.4, -0.1, -0.2, -0.2, -0.2, -0.2])
    overall = (await metrics(validator)).overall
    assert overall.bias.latency == pytest.approx(-0.1 / 7)
    assert overall.recent_bias.latency == pytest.approx(-0.9 / 5)
    assert overall.bias.memory == 0


async def test_fewer_than_the_recent_leave_nothing_earlier(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.4] * 5)
    assert not (await metrics(validator)).overall.earlier.HasField("latency")


async def test_a_strategy_that_ran_long_ago_keeps_its_windows(validator: ValidatorServiceAsyncStub) -> None:
    for number, error in enumerate((0.1, 0.2, 0.3)):
        await recorded(validator, f"old{number}", latency=error, strategy="BATCHED")
    await record(validator, [0.4] * 60)
    for without_trends in (False, True):  # of all validations, or of the few that the windows take
        found = await metrics(validator, recent_count=1, without_trends=without_trends)
        batched, parallel = found.by_strategy["batched"], found.by_strategy["parallel"]
        assert [batched.recent.latency, batched.earlier.latency] == pytest.approx([0.3, 0.2])
        assert [parallel.recent.latency, parallel.earlier.latency] == pytest.approx([0.4, 0.4])
        assert found.overall.recent.latency == pytest.approx(0.4)


async def test_too_little_data_is_said(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.1 * number for number in range(9)])
    trend = (await metrics(validator)).overall.trends["latency"]
    assert trend.direction == pb.TREND_DIRECTION_INSUFFICIENT_DATA
    assert (trend.strength, trend.validation_count) == (0, 9)
    assert not trend.HasField("slope_per_validation")
    assert "at least 10" in trend.explanation


async def test_a_ramp_is_worsening_on_its_platform_and_overall_and_a_constant_is_stable(
    validator: ValidatorServiceAsyncStub,
) -> None:
    await record(validator, [0.05 + 0.01 * number for number in range(30)])
    await record(validator, [0.1] * 12, platform="WEBNN")
    answer = await metrics(validator)
    wasm, webnn = answer.by_platform["wasm"].trends["latency"], answer.by_platform["webnn"].trends["latency"]
    assert wasm.direction == pb.TREND_DIRECTION_WORSENING
    assert wasm.slope_per_validation == pytest.approx(0.01)
    assert wasm.strength == pytest.approx(0.29 / 0.34)  # from 0.05 to 0.34
    assert (webnn.direction, webnn.strength) == (pb.TREND_DIRECTION_STABLE, 0)
    assert set(answer.by_strategy["parallel"].trends) == {"latency", "throughput", "memory"}


async def test_a_step_is_a_drift_of_its_platform(validator: ValidatorServiceAsyncStub) -> None:
    errors = noise(4, 70, deviation=0.03)
    errors[50:] += 0.3
    await record(validator, errors.tolist())
    drift = (await metrics(validator)).by_platform["wasm"].trends["latency"].drift
    assert drift.validations_since == 20
    assert 0 < drift.delay <= 20
    assert [drift.bias_before, drift.bias_after] == pytest.approx([0, 0.3], abs=0.03)


async def test_only_the_newest_of_the_history_count_for_trends(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.05 + 0.01 * number for number in range(30)] + [0.1] * 20)
    trend = (await metrics(validator, history_size=20)).by_platform["wasm"].trends["latency"]
    assert (trend.direction, trend.validation_count) == (pb.TREND_DIRECTION_STABLE, 20)


async def test_trends_can_be_left_out(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.1] * 12)
    assert not (await metrics(validator, without_trends=True)).overall.trends


async def test_history_is_given_on_request_oldest_first(validator: ValidatorServiceAsyncStub) -> None:
    await record(validator, [0.1, 0.2, 0.3])
    await record(validator, [0.4], platform="WEBGPU")
    assert not (await metrics(validator)).history
    history = (await metrics(validator, with_history=True, history_size=2)).history
    assert [point.execution_id for point in history] == ["WASM1", "WASM2", "WEBGPU0"]
    assert [point.validation_number for point in history] == sorted(point.validation_number for point in history)
    newest = history[-1]
    assert (newest.platform, newest.strategy) == (core.PLATFORM_WEBGPU, core.STRATEGY_PARALLEL)
    assert [newest.predicted.latency_ms, newest.measured.latency_ms] == pytest.approx([140, 100])
    assert [newest.errors.latency, newest.bias.latency] == pytest.approx([0.4, 0.4])
    assert newest.end_time.seconds > 0


async def test_a_validation_is_answered_with_its_signed_errors(validator: ValidatorServiceAsyncStub) -> None:
    answer = await recorded(validator, "e1", latency=-0.25)
    assert answer.bias.latency == pytest.approx(-0.25)
    assert answer.errors.latency == pytest.approx(0.25)
