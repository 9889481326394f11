"""`corun metrics`: how good the predictions were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from corun_client.conversion.reports import MetricsReport


def metrics(target: options.Target = None, db_path: options.DbPath = None, as_json: options.AsJson = False) -> None:
    """Show how far predictions and measurements were apart."""
    if db_path is not None and not db_path.exists():
        raise typer.BadParameter(f"there is no file {db_path}", param_hint="--db-path")

    async def work() -> MetricsReport:
        async with session.validator_session(target, db_path=db_path) as client:
            return await client.metrics()

    report = session.finish(work())
    if as_json:
        print_json(report)
    else:
        print_tables(_tables(report))


def _tables(report: MetricsReport) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f"{report['execution_count']} executions, {report['validation_count']} of them validated", style="bold")
    yield f"database {report['database_path']}, largest acceptable error {report['error_threshold']:.0%}"
    groups = {"all": {"validation_count": report["validation_count"], **report.get("error_rates", {})}}
    yield _errors({**groups, **report["platform_metrics"], **report["strategy_metrics"]})
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


def _impact_words(impact: Mapping[str, float]) -> str:
    words = []
    if "recommendation_accuracy" in impact:
        words.append(f"the recommended strategy was best or tied in {impact['recommendation_accuracy']:.0%}")
    if "avg_improvement_percent" in impact:
        words.append(f"it gained {impact['avg_improvement_percent']:+.1f} % on the mean of all")
    return ", ".join(words)
