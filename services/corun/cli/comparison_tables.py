"""The report of a comparison as tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun.cli.browser_tables import fallback_lines, lanes_table, places
from corun.cli.execution_tables import models_table, record_words, warning_lines
from corun_client.conversion.fallbacks import FallbackReport
from corun_client.conversion.reports import ComparisonReport, StrategyReport


def comparison_tables(report: ComparisonReport) -> Iterator[RenderableType]:
    """The verdict, every strategy predicted and measured, the models, and what else to know."""
    subject = f"best for {report['optimization_goal']} on {report['hardware_platform']}"
    yield Text(f"{subject}: {report['best_strategy']}", style="bold")
    verdict = "right" if report["recommendation_accuracy"] == 1.0 else "wrong"
    tied = [each for each in report["tied_strategies"] if each != report["best_strategy"]]
    told = f" ({', '.join(tied)} cannot be told from the best)" if tied else ""
    if report["recommended_strategy"]:
        yield f"recommended was {report['recommended_strategy']}: {verdict}{told}"
        gain = report["optimization_impact"]["improvement_percent"]
        yield f"the recommended strategy is {gain:+.1f} % against the mean of all"
    else:
        yield f"nothing was recommended: the predictor does not answer{told}"
    yield _strategies(report)
    for name, strategy in report["strategy_results"].items():
        if len(places(strategy.get("lanes", []))) > 1:
            yield Text(name, style="bold")
            yield from lanes_table(strategy["lanes"])
    yield models_table(report["models"])
    recorded = record_words(recorded=report["recorded"], queued=report["record_queued"])
    yield f"comparison {report['comparison_id']}: {recorded}; rounds: {report['rounds_reason']}"
    yield from fallback_lines(_fallbacks(report))
    yield from warning_lines(report["warnings"], report["models"])


def _strategies(report: ComparisonReport) -> Table:
    table = Table("strategy", title="predicted / measured (medians over rounds)", title_justify="left")
    for column in ("latency (ms)", "throughput (items/s)", "memory (MB)", "noise"):
        table.add_column(column, justify="right")
    table.add_column("ran on")
    for name, strategy in report["strategy_results"].items():
        style = "bold green" if name == report["best_strategy"] else ""
        if "error" in strategy:
            table.add_row(name, "failed", "", "", "", Text(strategy["error"]["message"], style="red"))
        else:
            table.add_row(name, *_cells(strategy), style=style)
    return table


def _cells(strategy: StrategyReport) -> list[str]:
    return [
        f"{_or_dash(strategy.get('predicted_latency'))} / {_or_dash(strategy.get('latency'))}",
        f"{_or_dash(strategy.get('predicted_throughput'))} / {_or_dash(strategy.get('throughput'))}",
        f"{_or_dash(strategy.get('predicted_memory'))} / {_or_dash(strategy.get('memory'))}",
        f"{strategy.get('noise', 0.0):.1%}",
        "; ".join(places(strategy.get("lanes", [])))
        or ", ".join(part for part in (strategy.get("engine"), strategy.get("adapter")) if part),
    ]


def _fallbacks(report: ComparisonReport) -> list[FallbackReport]:
    found: list[FallbackReport] = []
    for strategy in report["strategy_results"].values():
        found += [each for each in strategy.get("fallbacks", []) if each not in found]
    return found


def _or_dash(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f}"
