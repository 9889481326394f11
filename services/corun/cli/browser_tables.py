"""Where models ran, and which preferred browsers could not serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun_client.conversion.fallbacks import FallbackReport
from corun_client.conversion.reports import UsedLane


def where(engine: str, adapter: str, *, software: bool) -> Text:
    """The engine and the adapter; a software adapter is called one."""
    line = Text(f"engine {engine}, adapter {adapter or 'not named'}")
    return line.append(" (software)", style="bold yellow") if software else line


def places(lanes: Sequence[UsedLane]) -> list[str]:
    """Each engine with its adapter, once."""
    return list(dict.fromkeys(_words(lane) for lane in lanes))


def lanes_table(lanes: Sequence[UsedLane]) -> Iterator[RenderableType]:
    """Which model ran where; nothing when all ran in one place."""
    if len(places(lanes)) < 2:
        return
    table = Table(title="where they ran", title_justify="left")
    table.add_column("model", overflow="fold")
    table.add_column("lane", justify="right")
    table.add_column("threads", justify="right")
    table.add_column("engine and adapter", overflow="fold")
    for lane in lanes:
        number = str(lane["lane"]) + (f", copy {lane['replica']}" if lane["replica"] else "")
        table.add_row(", ".join(lane["model_names"]), number, str(lane["width"]), _words(lane))
    yield table


def fallback_lines(fallbacks: Iterable[FallbackReport]) -> Iterator[Text]:
    """One line a preferred browser that could not serve."""
    for fallback in fallbacks:
        whose = f"{fallback['model_type']} was" if fallback["model_type"] else "it was"
        words = f"{whose} to run in {fallback['preferred']}, but ran in {fallback['used']}: {fallback['reason']}"
        yield Text(words, style="yellow")


def _words(lane: UsedLane) -> str:
    software = " (software)" if lane["software_adapter"] else ""
    return f"{lane['engine']}, {lane['adapter'] or 'no adapter named'}{software}"
