"""`corun pool`: what is alive in a running pool."""

from __future__ import annotations

import sys
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.failures import Interrupted
from corun.cli.output import print_json, print_json_line, print_tables, table_console

if TYPE_CHECKING:
    from corun_client.async_client import AsyncClient
    from corun_client.conversion.status import PoolChange, PoolReport


def pool(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Show every change as it happens, until Ctrl-C.")] = False,
    target: options.RunningTarget = options.DEFAULT_TARGET,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document; with --watch one a line.")
    ] = False,
) -> None:
    """Show browsers, lanes, leases and shared tensors of running services."""
    if watch:
        with suppress(Interrupted):
            session.finish(_watch(target, as_json=as_json))
        return
    report = session.finish(_status(target))
    if as_json:
        print_json(report)
    else:
        from corun.cli.pool_tables import pool_tables

        print_tables(pool_tables(report))


async def _status(target: str) -> PoolReport:
    async with session.pool_session(target) as client:
        return await client.pool_status()


async def _watch(target: str, *, as_json: bool) -> None:
    async with session.pool_session(target) as client:
        if as_json:
            await _print_documents(client)
        elif sys.stdout.isatty():
            await _show_live(client)
        else:
            await _print_changes(client)


async def _print_documents(client: AsyncClient) -> None:
    async with aclosing(client.watch_pool()) as states:
        async for state in states:
            print_json_line(state)


async def _print_changes(client: AsyncClient) -> None:
    async with aclosing(client.watch_pool()) as states:
        async for state in states:
            for words in state["changes"] or [f"{len(state['status']['connections'])} browsers"]:
                print(f"{state['event_time']} {words}", flush=True)


async def _show_live(client: AsyncClient) -> None:
    from rich.console import Group
    from rich.live import Live

    from corun.cli.pool_tables import change_lines, pool_tables

    newest: list[PoolChange] = []
    with Live(console=table_console(), auto_refresh=False) as live:
        async with aclosing(client.watch_pool()) as states:
            async for state in states:
                newest = [*newest, state][-10:]
                live.update(Group(*pool_tables(state["status"]), *change_lines(newest)), refresh=True)
