"""The state of a pool as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun_client.conversion.status import ConnectionReport, LaneReport, PoolChange, PoolReport

_CHANGES_SHOWN = 10


def pool_tables(report: PoolReport) -> Iterator[RenderableType]:
    """Browsers with their lanes, leases, health, and what to know besides."""
    yield Text(
        f"{len(report['connections'])} of at most {report['max_connections']} browsers, "
        f"{report['queued_count']} waiting, {report['lost_count']} lost, {report['recycled_count']} recycled",
        style="bold",
    )
    if report["connections"]:
        yield _connections(report["connections"])
    if report["leases"]:
        yield _leases(report)
    yield from _health_lines(report)
    if report["tensor_count"]:
        yield f"{report['tensor_count']} shared tensors, {report['tensor_bytes'] / 1e6:.2f} MB"
    if report["late_result_count"]:
        yield f"{report['late_result_count']} results came after their lease had ended and were thrown away"
    if report["blocked_count"]:
        yield f"{report['blocked_count']} requests of browsers were blocked; the newest: {report['blocked'][-1]}"
    for warning in report["warnings"]:
        yield Text(f"warning: {warning}", style="yellow")


def change_lines(states: Sequence[PoolChange]) -> Iterator[Text]:
    """The newest changes in words, oldest first."""
    lines = [f"{state['event_time']} {words}" for state in states for words in state["changes"]]
    for line in lines[-_CHANGES_SHOWN:]:
        yield Text(line, style="dim")


def _connections(connections: Sequence[ConnectionReport]) -> Table:
    table = Table("browser", "state", title="browsers and lanes", title_justify="left")
    for column in ("MB", "runs"):
        table.add_column(column, justify="right")
    table.add_column("lane", overflow="fold")
    table.add_column("wasm MB", justify="right")
    table.add_column("models and [tensors]", overflow="fold")
    for connection in connections:
        browser = f"{connection['connection_id']} {connection['engine']}"
        memory = f"{connection['memory_mb']:.0f}" if connection["memory_mb"] else "-"
        lanes = connection["lanes"]
        first = _lane_cells(lanes[0]) if lanes else ()
        table.add_row(browser, connection["state"], memory, str(connection["run_count"]), *first)
        for lane in lanes[1:]:
            table.add_row("", "", "", "", *_lane_cells(lane))
        table.add_section()
    return table


def _lane_cells(lane: LaneReport) -> tuple[str, ...]:
    held = [*lane["model_names"], *(f"[{name}]" for name in lane["tensor_names"])]
    memory = f"{lane['wasm_memory_mb']:.0f}" if lane["wasm_memory_mb"] else "-"
    words = f"{lane['lane_id']} {lane['platform']}, {lane['width']} thread{'' if lane['width'] == 1 else 's'}"
    return (words, memory, ", ".join(held))


def _leases(report: PoolReport) -> Table:
    table = Table("lease", "for", "browsers", "granted", "ends", title="leases", title_justify="left")
    for lease in report["leases"]:
        browsers = ", ".join(lease["connection_ids"])
        table.add_row(lease["lease_id"], lease["purpose"], browsers, lease["granted_time"], lease["expire_time"])
    return table


def _health_lines(report: PoolReport) -> Iterator[Text]:
    for health in report["platforms"]:
        if health["state"] == "degraded":
            words = f"{health['engine']} {health['platform']} is left alone until {health['retry_time']}"
            yield Text(f"{words}: {health['detail']}", style="bold yellow")
