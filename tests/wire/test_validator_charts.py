"""Pictures of the metrics, as bytes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from PIL import Image

from corun.charts import draw_overview
from corun.plumbing.status import RemoteError
from corun.v1 import validator_service_pb2 as pb
from tests.fakes.validations import recorded, serving_validator

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub

CHARTS = [value for name, value in pb.ValidationChart.items() if value]


@pytest.fixture
async def validator(tmp_path: Path) -> AsyncIterator[ValidatorServiceAsyncStub]:
    async with serving_validator(tmp_path / "v.duckdb") as stub:
        yield stub


@pytest.mark.parametrize("chart", CHARTS)
async def test_every_chart_is_a_picture_even_of_nothing(
    validator: ValidatorServiceAsyncStub, chart: pb.ValidationChart.ValueType
) -> None:
    empty = await validator.VisualizeValidationMetrics(pb.VisualizeValidationMetricsRequest(chart=chart))
    for number in range(12):
        await recorded(validator, f"e{number}", latency=0.05 * number, strategy=("PARALLEL", "BATCHED")[number % 2])
    full = await validator.VisualizeValidationMetrics(pb.VisualizeValidationMetricsRequest(chart=chart))
    assert (empty.validation_count, full.validation_count) == (0, 12)
    for answer in (empty, full):
        assert answer.media_type == "image/png"
        picture = Image.open(io.BytesIO(answer.image))
        assert (picture.format, min(picture.size) > 500) == ("PNG", True)
    assert empty.image != full.image


async def test_the_largest_errors_leave_metrics_finite_and_can_be_drawn(validator: ValidatorServiceAsyncStub) -> None:
    for number in range(12):
        await recorded(validator, f"e{number}", latency=9e9, platform=("WASM", "WEBGPU")[number % 2])
    metrics = await validator.GetValidationMetrics(pb.GetValidationMetricsRequest(with_history=True))
    assert metrics.overall.average.latency == pytest.approx(9e9)
    recommended = await validator.GetRefinementRecommendations(pb.GetRefinementRecommendationsRequest())
    assert [each.validation_count for each in recommended.findings] == [6, 6]
    draw_overview(metrics).savefig(io.BytesIO(), format="png")
    for chart in CHARTS:
        await validator.VisualizeValidationMetrics(pb.VisualizeValidationMetricsRequest(chart=chart))


async def test_a_chart_may_be_drawn_in_lines(validator: ValidatorServiceAsyncStub) -> None:
    answer = await validator.VisualizeValidationMetrics(
        pb.VisualizeValidationMetricsRequest(chart=pb.VALIDATION_CHART_TRENDS, format=pb.IMAGE_FORMAT_SVG)
    )
    assert answer.media_type == "image/svg+xml"
    assert b"<svg" in answer.image[:2000]


async def test_a_chart_must_be_chosen(validator: ValidatorServiceAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await validator.VisualizeValidationMetrics(pb.VisualizeValidationMetricsRequest())
    assert [each.field for each in RemoteError.from_rpc(caught.value).violations] == ["chart"]
