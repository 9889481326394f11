"""A prediction and its parts as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun.cli.explanation import EstimateReport, Explanation, SoloReport, StrategyExplanation


def _runtimes(strategy: StrategyExplanation) -> str:
    shared = strategy["shared_mb"]
    return _number(strategy["lanes_mb"]) + (f" ({_number(shared)} shared)" if shared else "")


def _other_programs(strategy: StrategyExplanation) -> str:
    taken = strategy["taken_cores"]
    return _number(strategy["other_programs_ms"]) + (f" (take {taken:.1f} cores)" if taken else "")


# Every part of a figure below it.
_ROWS: tuple[tuple[str, Callable[[StrategyExplanation], str]], ...] = (
    ("latency (ms)", lambda each: _words(each["latency"])),
    ("  runs alone, the longest of each stage", lambda each: _number(each["solo_ms"])),
    ("  + sharing cores and bandwidth", lambda each: _number(each["contention_ms"])),
    ("  + other programs on the cores", _other_programs),
    ("  + handing over and collecting", lambda each: _number(each["dispatch_ms"])),
    ("  x what executions taught", lambda each: f"{each['correction_factor']:.2f}"),
    ("before it: loading what no lane holds (ms)", lambda each: _number(each["loading_ms"])),
    ("throughput (items/s)", lambda each: _words(each["throughput"])),
    ("memory (MB)", lambda each: _words(each["memory"])),
    ("  weights", lambda each: _number(each["weights_mb"])),
    ("  + copies while loading, activations", lambda each: _number(each["scratch_mb"])),
    ("  + runtimes of the lanes", _runtimes),
    ("  x what executions taught", lambda each: f"{each['memory_correction_factor']:.2f}"),
)


def explanation_tables(report: Explanation) -> Iterator[RenderableType]:
    """The choice and why, the parts of every strategy, what runs when, and what each run takes alone."""
    choice = Text(f"for {report['goal']} corun would choose {report['recommended_strategy']}", style="bold")
    yield choice.append(f"\n  {report['reason']}" if report["reason"] else "", style="not bold")
    tied = [each for each in report["tied_strategies"] if each != report["recommended_strategy"]]
    if tied:
        yield f"  not to be told apart from it: {', '.join(tied)}"
    yield f"{report['platform']} in {report['engine']} on {report['core_count']} cores: predicted, not run"
    yield _parts(report)
    yield _schedule(report)
    yield _solo_times(report)
    if report["graph_only"]:
        names = ", ".join(report["graph_only"])
        yield Text(f"never run here, estimated from the graph alone: {names}; --profile measures first", style="yellow")


def _parts(report: Explanation) -> Table:
    table = Table("figure and its parts", title="predicted (nine of ten within)", title_justify="left")
    for name in report["strategies"]:
        table.add_column(name, justify="right", style="bold" if name == report["recommended_strategy"] else "")
    for label, cell in _ROWS:
        ends = label.startswith(("before it", "throughput"))
        table.add_row(label, *(cell(each) for each in report["strategies"].values()), end_section=ends)
    return table


def _schedule(report: Explanation) -> Table:
    table = Table("strategy", "stage", "at the same time", title="what runs when", title_justify="left")
    for name, strategy in report["strategies"].items():
        for number, stage in enumerate(strategy["stages"], start=1):
            runs = ", ".join(f"{run['model_name']}:{run['batch_size']}" for run in stage)
            threads = f" ({stage[0]['lane_width']} thread{'s' if stage[0]['lane_width'] > 1 else ''} each)"
            table.add_row(name if number == 1 else "", str(number), runs + threads)
    return table


def _solo_times(report: Explanation) -> Table:
    table = Table("model", title="each run if it had the machine to itself", title_justify="left")
    for column in ("items", "threads", "time (ms)"):
        table.add_column(column, justify="right")
    table.add_column("known from")
    found: dict[tuple[str, int, int], SoloReport] = {}
    for strategy in report["strategies"].values():
        for each in strategy["solo_times"]:
            found[each["model_name"], each["batch_size"], each["lane_width"]] = each
    for (name, batch_size, width), each in sorted(found.items()):
        table.add_row(name, str(batch_size), str(width), _words(each["time_ms"]), _source(each))
    return table


def _source(solo: SoloReport) -> str:
    if solo["basis"] == "graph":
        return "its graph alone"
    return f"{solo['observation_count']} observed runs"


def _words(estimate: EstimateReport) -> str:
    low, high = _number(estimate["low"]), _number(estimate["high"])
    return f"{_number(estimate['value'])} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
