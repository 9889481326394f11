"""The document of `corun bench accuracy` as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_FIGURES = ("latency", "throughput", "memory")
_PARTS = {"seen": "models seen in training, in new combinations", "unseen": "with a model that was only profiled"}
_BASELINES = {
    "history_mean": "history mean",
    "naive_composition": "naive sum or maximum",
    "linear_regression": "linear regression",
}

# Repeated runs on a quiet machine differ by 4-10 %, as was measured (predictor.core.interval).
_BUSY = 0.1


def accuracy_tables(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """How it was done, errors beside those of baselines for each part, and how the choices did."""
    counts = report["counts"]
    yield Text(f"accuracy of predictions on {report['platform']} in {report['engine']}", style="bold")
    yield (
        f"{len(report['models'])} models, {report['core_count']} cores, seed {report['seed']}; learnt from "
        f"{counts['train']} executions; {counts['test']} workloads held out, {counts['points']} points with the "
        f"strategies, each measured {counts['repeats']} times; {report['duration'] / 60:.1f} min"
    )
    yield f"left out of training and profiled once: {report['left_out']}"
    if not report["fresh_state"]:
        yield Text("the predictor already knew what it had learnt before", style="yellow")
    noise = max(report["latency"][part]["noise_floor"] or 0.0 for part in _PARTS)
    if noise > _BUSY:
        words = f"single runs were {noise:.0%} off the median of their repeats: the machine is noisy or was busy"
        yield Text(words, style="yellow")
    for part, words in _PARTS.items():
        yield _errors(report, part, f"{words} ({report['latency'][part]['count']} points)")
    yield _choices(report["selection"])
    yield f"predicting and choosing takes {report['selection']['predict_and_choose_p50_ms']:.1f} ms (median)"


def _errors(report: Mapping[str, Any], part: str, title: str) -> Table:
    table = Table("figure", "predicted by", title=title, title_justify="left")
    for column in ("mean error", "median", "90 %", "within 10 %", "in interval", "noise floor"):
        table.add_column(column, justify="right")
    for figure in _FIGURES:
        table.add_row(figure, "corun", *_cells(report[figure][part]), style="bold")
        for name, words in _BASELINES.items():
            table.add_row(
                "", words, *_cells(report["baselines"][name][figure][part]), end_section=name == "linear_regression"
            )
    return table


def _cells(score: Mapping[str, Any]) -> list[str]:
    keys = ("mean", "median", "p90", "within_10", "coverage", "noise_floor")
    return [_percent(score[key]) for key in keys]


def _choices(selection: Mapping[str, Any]) -> Table:
    title = f"strategy chosen for latency ({selection['workload_count']} workloads)"
    table = Table("choice", title=title, title_justify="left")
    for column in ("best or tied", "mean regret", "worst regret"):
        table.add_column(column, justify="right")
    rows = {"corun's": selection} | {f"always {name}": each for name, each in selection["fixed"].items()}
    for name, each in rows.items():
        best = name == f"always {selection['best_fixed']}"
        cells = [_percent(each[key]) for key in ("best_or_tied", "mean_regret", "worst_regret")]
        table.add_row(
            f"{name} (the best fixed one)" if best else name, *cells, style="bold" if each is selection else ""
        )
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.1%}"
