"""The report of an execution as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun.cli.browser_tables import fallback_lines, lanes_table, where
from corun_client.conversion.reports import ExecutionReport, ModelRun

# Cores that other programs use from which on a measurement is not that of an idle machine.
_DISTURBING_CORES = 0.3


def execution_tables(report: ExecutionReport) -> Iterator[RenderableType]:
    """The choice and where it ran, predicted beside measured, the models, and what else to know."""
    chosen = "chosen" if report["strategy_automatic"] else "as asked"
    headline = Text(f"{report['execution_strategy']} on {report['hardware_platform']} ({chosen})", style="bold")
    yield headline.append(f"\n  {report['strategy_reason']}" if report["strategy_reason"] else "", style="not bold")
    yield where(report["engine"], report["adapter"], software=report["software_adapter"])
    yield _figures(report)
    yield from lanes_table(report["lanes"])
    yield models_table(report["models"])
    yield (
        f"queueing {report['queue_time_ms']:.0f} ms, loading {report['load_time_ms']:.0f} ms, "
        f"warming up {report['warmup_time_ms']:.0f} ms: not part of the figures above"
    )
    validated = "validated" if report["validated"] else "not validated this time"
    recorded = record_words(recorded=report["recorded"], queued=report["record_queued"])
    version = report["predictor_version"] or "does not answer"
    yield f"execution {report['execution_id']}: {recorded}, {validated}, predictor {version}"
    if report["retry_count"]:
        yield Text(f"a browser was lost; the plan started over {report['retry_count']} time(s)", style="yellow")
    others = report["other_programs_cores"]
    if others is not None and others >= _DISTURBING_CORES:
        yield Text(f"other programs used {others:.1f} cores meanwhile", style="yellow")
    yield from fallback_lines(report["fallbacks"])
    yield from warning_lines(report["warnings"], report["models"])


def record_words(*, recorded: bool, queued: bool) -> str:
    """Whether something is on the validator's record."""
    if recorded:
        return "on record"
    return "kept for the record" if queued else "NOT on record"


def models_table(models: Sequence[ModelRun]) -> Table:
    """The models as they were run; SEEDED weights stand out."""
    table = Table(title="models", title_justify="left")
    table.add_column("model", overflow="fold")
    for column in ("type", "items", "weights"):
        table.add_column(column, no_wrap=True)
    table.add_column("source", overflow="fold")
    for model in models:
        origin = Text(model["weights_origin"], style="bold black on yellow" if _seeded(model) else "green")
        table.add_row(model["model_name"], model["model_type"], str(model["batch_size"]), origin, model["source"])
    return table


def warning_lines(warnings: Sequence[str], models: Sequence[ModelRun]) -> Iterator[Text]:
    """What did not go as it should, and what seeded weights mean."""
    if any(_seeded(model) for model in models):
        yield Text("SEEDED weights: speed and memory are real, outputs are not meaningful", style="bold yellow")
    for warning in warnings:
        yield Text(f"warning: {warning}", style="yellow")


def _figures(report: ExecutionReport) -> Table:
    table = Table("figure", title="predicted and measured", title_justify="left")
    for column in ("predicted", "interval", "measured", "error"):
        table.add_column(column, justify="right")
    rows = (
        ("latency (ms)", "latency", report["predicted_latency"], report["actual_latency"]),
        ("throughput (items/s)", "throughput", report["predicted_throughput"], report["actual_throughput"]),
        ("memory (MB)", "memory", report["predicted_memory"], report["actual_memory"]),
    )
    for label, figure, predicted, measured in rows:
        if predicted is None:
            table.add_row(label, "-", "-", f"{measured:.2f}", "-")
            continue
        low, high = report["intervals"][figure]
        error = f"{abs(predicted - measured) / measured:.1%}" if measured else "-"
        table.add_row(label, f"{predicted:.2f}", f"{low:.2f} to {high:.2f}", f"{measured:.2f}", error)
    return table


def _seeded(model: ModelRun) -> bool:
    return model["weights_origin"] == "SEEDED"
