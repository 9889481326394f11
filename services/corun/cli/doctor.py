"""`corun doctor`: can models be run here, and if not, what is missing?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import corun
from corun.cli import checks, options, session
from corun.cli.output import print_json, print_tables
from corun.cli.waiting import waiting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from corun_client.conversion.pool import CapabilityReport, ModelReport

_PAGE = Path(corun.__file__).parent / "resource_pool" / "page" / "dist"


def doctor(as_json: options.AsJson = False) -> None:
    """Look at everything that running models needs, and say how to get what is missing."""
    with waiting("looking at everything, and trying every browser"):
        found, capabilities, models = session.finish(_examine())
    ok = all(check["ok"] for check in found if check["required"])
    if as_json:
        print_json({"ok": ok, "checks": found, "capabilities": capabilities, "models": models})
    else:
        print_tables(_tables(found, capabilities, ok=ok))
    raise typer.Exit(0 if ok else 1)


async def _examine() -> tuple[list[checks.Check], CapabilityReport | None, list[ModelReport]]:
    found = [checks.python_check(), checks.node_check(), checks.page_check(_PAGE)]
    capabilities: CapabilityReport | None = None
    models: list[ModelReport] = []
    try:
        async with session.pool_session(None) as client:
            models = await client.list_models()
            found.append(checks.models_check(models))
            capabilities = await client.capabilities()
            found += checks.browser_checks(capabilities)
    except Exception as error:
        found.append(_failed_check("resource pool", error, remedy="see the message; it names what is missing"))
    found.append(await _database_check())
    return found, capabilities, models


async def _database_check() -> checks.Check:
    """Opens the database as the validator would, unless there is none yet: looking must not make one."""
    from corun.embedded import built, settings_of

    try:
        settings = settings_of("validator")
        path = Path(getattr(settings, "db_path"))  # noqa: B009  # the validator's own setting
        if not await asyncio.to_thread(path.exists):
            return checks.check("database", ok=True, required=True, detail=f"{path}: made on first use")
        async with built("validator", settings):
            return checks.check("database", ok=True, required=True, detail=f"{path}: held by nobody")
    except Exception as error:
        return _failed_check("database", error, remedy="use the deployment that holds it with --target, or --db-path")


def _failed_check(name: str, error: Exception, *, remedy: str) -> checks.Check:
    from corun.cli.failures import failure_of

    return checks.check(name, ok=False, required=True, detail=failure_of(error).message, remedy=remedy)


def _tables(
    found: Sequence[checks.Check], capabilities: CapabilityReport | None, *, ok: bool
) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    from corun.cli.engine_tables import engine_tables

    table = Table("", "", "", show_header=False)
    engines = [engine["engine"] for engine in capabilities["engines"]] if capabilities is not None else []
    for check in found:
        if check["name"].removeprefix("browser ") in engines:
            continue  # the table of engines says more of them
        mark = Text("ok", style="green")
        if not check["ok"]:
            mark = Text("missing", style="bold red") if check["required"] else Text("note", style="yellow")
        remedy = check["remedy"] if check["remedy"] not in check["detail"] else ""
        table.add_row(mark, check["name"], "\n".join(part for part in (check["detail"], remedy) if part))
    yield table
    if capabilities is not None:
        yield from engine_tables(capabilities)
    yield Text("models can be run here", "bold green") if ok else Text("models cannot be run here", "bold red")
