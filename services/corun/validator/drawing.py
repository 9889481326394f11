"""Metrics as the bytes of a picture."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

from corun.v1 import validator_service_pb2 as pb

_DOTS_PER_INCH = 144
# One, because matplotlib's caches of fonts are not made for threads.
_pen = ThreadPoolExecutor(max_workers=1, thread_name_prefix="validator-drawing")


async def drawn(
    chart: pb.ValidationChart.ValueType,
    image_format: pb.ImageFormat.ValueType,
    metrics: pb.GetValidationMetricsResponse,
) -> pb.VisualizeValidationMetricsResponse:
    """The chart of metrics with their history; drawn one after another."""
    return await asyncio.get_running_loop().run_in_executor(_pen, _drawn, chart, image_format, metrics)


def _drawn(
    chart: pb.ValidationChart.ValueType,
    image_format: pb.ImageFormat.ValueType,
    metrics: pb.GetValidationMetricsResponse,
) -> pb.VisualizeValidationMetricsResponse:
    from corun import charts  # noqa: PLC0415  # takes a second, and most validators never draw

    draw = {
        pb.VALIDATION_CHART_ERROR_RATES: charts.draw_error_rates,
        pb.VALIDATION_CHART_TRENDS: charts.draw_trends,
        pb.VALIDATION_CHART_HARDWARE: charts.draw_hardware,
        pb.VALIDATION_CHART_STRATEGY: charts.draw_strategy,
    }[chart]
    name = "svg" if image_format == pb.IMAGE_FORMAT_SVG else "png"
    content = BytesIO()
    draw(metrics).savefig(content, format=name, dpi=_DOTS_PER_INCH)
    return pb.VisualizeValidationMetricsResponse(
        image=content.getvalue(),
        media_type="image/svg+xml" if name == "svg" else "image/png",
        validation_count=len(metrics.history),
    )
