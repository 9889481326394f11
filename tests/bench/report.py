"""How benchmarks print: medians and tails of what one run measured, and ratios between them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def percentile(samples: Sequence[float], percent: int) -> float:
    """The value below which `percent` of the samples lie."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def show(title: str, rows: Sequence[tuple[str, Sequence[float]]], *, ratio: str = "") -> None:
    """Prints median, p99 and spread of each row in milliseconds, and a sentence with the ratio."""
    table = Table(title=title, title_justify="left")
    for heading in ("what", "n", "p50 ms", "p99 ms", "least ms", "most ms"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, samples in rows:
        figures = (statistics.median(samples), percentile(samples, 99), min(samples), max(samples))
        table.add_row(name, str(len(samples)), *(f"{figure:,.3f}" for figure in figures))
    _print(table, ratio)


def show_rates(title: str, rows: Sequence[tuple[str, int, Sequence[float]]], *, ratio: str = "") -> None:
    """Prints for each row (name, bytes moved each time, seconds each time took) medians and rates."""
    table = Table(title=title, title_justify="left")
    for heading in ("what", "n", "p50 ms", "least ms", "most ms", "MB/s at p50"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, byte_count, seconds in rows:
        middle = statistics.median(seconds)
        times = (f"{each * 1000:,.3f}" for each in (middle, min(seconds), max(seconds)))
        table.add_row(name, str(len(seconds)), *times, f"{byte_count / middle / 1e6:,.1f}")
    _print(table, ratio)


def _print(table: Table, ratio: str) -> None:
    console = Console(width=120)
    console.print(table)
    if ratio:
        console.print(f"  {ratio}\n")
