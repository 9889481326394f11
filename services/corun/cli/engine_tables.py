"""Engines and platforms, as tried, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun_client.conversion.pool import CapabilityReport, EngineReport, PlatformReport


def engine_tables(report: CapabilityReport) -> Iterator[RenderableType]:
    """Every engine and every platform in it, and what lanes and browsers there may be."""
    table = Table("engine", "version", "sandbox", "platform", "", title="browsers, as tried", title_justify="left")
    table.add_column("adapter, or what is wrong", overflow="fold")
    for engine in report["engines"]:
        _add_engine(table, engine)
        table.add_section()
    yield table
    yield f"{report['core_count']} cores for lanes, at most {report['max_connections']} browsers at once"


def _add_engine(table: Table, engine: EngineReport) -> None:
    name = Text(engine["engine"], style="bold")
    if not engine["available"]:
        mark = Text("absent" if not engine["version"] else "fails", style="yellow")
        table.add_row(name, engine["version"] or "-", "-", "-", mark, engine["detail"])
        return
    sandbox = Text("on", style="green") if engine["sandboxed"] else Text("off", style="bold yellow")
    for index, platform in enumerate(engine["platforms"]):
        first = (name, engine["version"], sandbox) if index == 0 else ("", "", "")
        table.add_row(*first, platform["platform"], _mark(platform), _detail(platform))


def _mark(platform: PlatformReport) -> Text:
    return Text("works", style="green") if platform["supported"] else Text("no", style="yellow")


def _detail(platform: PlatformReport) -> Text:
    if not platform["supported"]:
        return Text(platform["detail"])
    text = Text(platform["adapter"] or "no adapter named")
    return text.append(" (software)", style="bold yellow") if platform["software"] else text
