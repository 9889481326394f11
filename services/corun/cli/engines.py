"""`corun engines`: which browsers models can run in, as tried."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables
from corun.cli.waiting import waiting

if TYPE_CHECKING:
    from corun_client.conversion.pool import CapabilityReport


def engines(
    *,
    install: Annotated[
        bool, typer.Option("--install", help="First install chromium-shell from its npm package (x86-64 Linux).")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Try again also those that were found good.")] = False,
    target: options.Target = None,
    as_json: options.AsJson = False,
) -> None:
    """List every kind of browser with what was found to work in it, and how to get what is missing."""
    if install and target is not None:
        raise typer.BadParameter("installs on this machine; leave it out with --target", param_hint="--install")

    async def work() -> tuple[Path | None, CapabilityReport]:
        place = await _installed() if install else None
        with waiting("trying every browser"):
            async with session.pool_session(target) as client:
                return place, await client.capabilities(refresh=refresh)

    place, report = session.finish(work())
    if as_json:
        print_json({**report, **({"installed": str(place)} if place else {})})
        return
    from corun.cli.engine_tables import engine_tables

    if place is not None:
        print(f"chromium-shell is installed: {place}")
    print_tables(engine_tables(report))


async def _installed() -> Path:
    from corun.resource_pool.browser import chromium_shell

    with waiting("installing chromium-shell (some 70 MB)"):
        return await asyncio.to_thread(chromium_shell.install)
