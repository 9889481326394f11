"""`corun metrics`: how good the predictions were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from corun.v1 import validator_service_pb2 as pb
    from corun_client.async_client import AsyncClient
    from corun_client.conversion.reports import MetricsReport
    from corun_client.conversion.validation_reports import TrendReport
    from corun_client.record_calls import StorageReport

_PICTURES = (".png", ".svg", ".pdf")
_DRAWN_COUNT = 3_000  # of each platform, the newest


def metrics(
    *,
    plot: Annotated[
        Path | None, typer.Option("--plot", dir_okay=False, help="Picture to write too: .png, .svg or .pdf.")
    ] = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how far predictions and measurements were apart."""
    if plot is not None and plot.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"expected one of {', '.join(_PICTURES)}; received {plot.name!r}", param_hint="--plot")
    options.require_database(db_path)

    async def work() -> tuple[MetricsReport, StorageReport | None, pb.GetValidationMetricsResponse | None]:
        async with session.validator_session(target, db_path=db_path) as client:
            return await client.metrics(), await _storage(client), await _history(client) if plot else None

    report, storage, history = session.finish(work())
    if plot is not None and history is not None:
        _draw(history, plot)
    if as_json:
        print_json({**report, **({"storage": storage} if storage else {})})
    else:
        print_tables(_tables(report))
        print_tables(_losses(storage))
        if plot is not None:
            print(f"picture in {plot}")


async def _storage(client: AsyncClient) -> StorageReport | None:
    from corun_client.errors import NotHosted

    try:
        return await client.storage_status()
    except NotHosted:  # the target is an orchestrator with its validator elsewhere
        return None


async def _history(client: AsyncClient) -> pb.GetValidationMetricsResponse:
    from corun_client.validator_calls import metrics_query

    return await client.read_metrics(metrics_query(history_size=_DRAWN_COUNT, history=True), lambda answer: answer)


def _draw(history: pb.GetValidationMetricsResponse, file: Path) -> None:
    from corun.charts import draw_overview
    from corun_client.whole_file import whole_file

    with whole_file(file) as written:
        draw_overview(history).savefig(written, format=file.suffix[1:].lower(), dpi=130)


def _losses(storage: StorageReport | None) -> Iterator[RenderableType]:
    from rich.text import Text

    for incident in storage["incidents"] if storage else ():
        kept = f"; the damaged file is kept as {incident['kept_file']}" if "kept_file" in incident else ""
        yield Text(f"loss found {incident['detected_time']}: {incident['description']}{kept}", style="bold red")


def _tables(report: MetricsReport) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f"{report['execution_count']} executions, {report['validation_count']} of them validated", style="bold")
    yield f"database {report['database_path']}, largest acceptable error {report['error_threshold']:.0%}"
    groups = {"all": {"validation_count": report["validation_count"], **report.get("error_rates", {})}}
    yield _errors({**groups, **report["platform_metrics"], **report["strategy_metrics"]})
    trends = report.get("error_trends")
    if trends is not None:
        known = [figure for figure in _FIGURES if trends[figure]["direction"] != "insufficient_data"]
        words = ", ".join(f"{figure} {_trend_words(trends[figure])}" for figure in known)
        yield f"trends: {words or 'too few validations to tell'}"
    impact = report.get("optimization_impact")
    if impact is not None:
        yield f"over {impact['comparison_count']:.0f} comparisons: " + _impact_words(impact)
        best = ", ".join(f"{name} {count}" for name, count in report["strategy_distribution"].items())
        yield f"best strategies: {best}"


def _errors(groups: Mapping[str, Mapping[str, float]]) -> Table:
    from rich.table import Table

    table = Table("group", title="error: average / recent", title_justify="left")
    for column in ("validations", "latency", "throughput", "memory"):
        table.add_column(column, justify="right")
    for name, group in groups.items():
        cells = [f"{_rate(group, 'avg', figure)} / {_rate(group, 'recent', figure)}" for figure in _FIGURES]
        table.add_row(name, f"{group['validation_count']:.0f}", *cells)
    return table


_FIGURES = ("latency", "throughput", "memory")


def _rate(group: Mapping[str, float], which: str, figure: str) -> str:
    rate = group.get(f"{which}_{figure}_error")
    return "-" if rate is None else f"{rate:.1%}"


def _trend_words(trend: TrendReport) -> str:
    return f"{trend['direction']} (strength {trend['strength']:.2f})" if trend["strength"] else trend["direction"]


def _impact_words(impact: Mapping[str, float]) -> str:
    words = []
    if "recommendation_accuracy" in impact:
        words.append(f"the recommended strategy was best or tied in {impact['recommendation_accuracy']:.0%}")
    if "avg_improvement_percent" in impact:
        words.append(f"it gained {impact['avg_improvement_percent']:+.1f} % on the mean of all")
    return ", ".join(words)
