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
    console = Console(width=120)
    console.print(table)
    if ratio:
        console.print(f"  {ratio}\n")
