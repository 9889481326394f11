"""Kept executions as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from corun_client.conversion.executions import ExecutionEntry


def executions_table(entries: Sequence[ExecutionEntry]) -> Table:
    """A line an execution or comparison."""
    table = Table(title=f"{len(entries)} executions and comparisons", title_justify="left")
    table.add_column("id", no_wrap=True)
    for column in ("kind", "state", "platform"):
        table.add_column(column)
    table.add_column("models", overflow="fold")
    for column in ("accepted", "ended", "client"):
        table.add_column(column, overflow="fold")
    for each in entries:
        table.add_row(
            each["execution_id"],
            each["kind"],
            each["state"],
            each["hardware_platform"],
            ", ".join(each["model_names"]),
            each["create_time"],
            each["end_time"],
            each["client_id"],
        )
    return table
