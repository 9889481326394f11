"""The report as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from corun.report.charts import error_chart, scatter_chart
from corun.report.data import FIGURES, MAX_POINTS, ReportData

_UNITS = {"latency": "ms", "throughput": "items/s", "memory": "MB"}


def render(data: ReportData) -> str:
    """The page. Whatever comes from the record is escaped."""
    environment = Environment(
        loader=PackageLoader("corun.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(percent=_percent, signed=_signed, moment=_moment, number=_number)
    return environment.get_template("page.html.j2").render(
        data=data,
        figures=FIGURES,
        units=_UNITS,
        drawn_count=len(data.points),
        max_points=MAX_POINTS,
        errors={each: error_chart(data.points, each, data.error_threshold, data.refined_after) for each in FIGURES},
        scatters={each: scatter_chart(data.points, each, _UNITS[each], data.error_threshold) for each in FIGURES},
    )


def _percent(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if value < 100 else f"{100 * value:.1e}%"


def _signed(value: float) -> str:
    return f"{value:+.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")


def _moment(value: Any) -> str:
    return value.strftime("%Y-%m-%d %H:%M") if value is not None else "-"
