"""`corun config`: what bounds the choice of strategies on a platform."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables

if TYPE_CHECKING:
    from corun_client.async_client import AsyncClient
    from corun_client.conversion.configuration import UpdateReport

_Report = TypeVar("_Report")

app = typer.Typer(help="Show or change what bounds the choice of strategies on a platform: thresholds and group size.")

_ParallelThreshold = Annotated[
    int | None, typer.Option("--parallel-threshold", help="Most models that may run in parallel.")
]
_SequentialThreshold = Annotated[
    int | None, typer.Option("--sequential-threshold", help="Models above which only sequential is eligible.")
]
_BatchingSize = Annotated[
    int | None, typer.Option("--batching-size", help="Most models in a group of the batched strategy.")
]
_MemoryThreshold = Annotated[
    float | None,
    typer.Option("--memory-threshold", help="Most memory that a strategy may be predicted to need, megabytes."),
]


@app.command()
def show(
    *,
    platform: options.Platform,
    target: options.Target = None,
    db_path: options.DbPath = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the values in force, where each comes from, and how they came about."""
    report = _asked(
        lambda client: client.strategy_configuration(platform), target, db_path=db_path, state_folder=state_folder
    )
    if as_json:
        print_json(
            {
                **report,
                "changes": [{**each, "change_time": each["change_time"].isoformat()} for each in report["changes"]],
            }
        )
    else:
        from corun.cli.config_tables import configuration_tables

        print_tables(configuration_tables(report))


@app.command("set")
def set_values(
    *,
    platform: options.Platform,
    parallel_threshold: _ParallelThreshold = None,
    sequential_threshold: _SequentialThreshold = None,
    batching_size: _BatchingSize = None,
    memory_threshold: _MemoryThreshold = None,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the service's settings instead.")] = False,
    target: options.Target = None,
    db_path: options.DbPath = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Set values by hand; they are kept until asked to change. What is left out stays as it is."""
    given = {
        "parallel_threshold": parallel_threshold,
        "sequential_threshold": sequential_threshold,
        "batching_size": batching_size,
        "memory_threshold": memory_threshold,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if bool(values) is reset:
        raise typer.BadParameter("give values to set, or --reset without any")

    async def work(client: AsyncClient) -> UpdateReport:
        if reset:
            return await client.reset_strategy_configuration(platform)
        return await client.update_strategy_configuration(platform, values)

    _print_update(_asked(work, target, db_path=db_path, state_folder=state_folder), as_json=as_json)


@app.command()
def adapt(
    *,
    platform: options.Platform,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be set, and change nothing.")] = False,
    target: options.Target = None,
    db_path: options.DbPath = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Adapt the values to what was measured, by one bounded step; those that were set by hand too."""
    if not dry_run:
        report = _asked(
            lambda client: client.update_strategy_configuration(platform),
            target,
            db_path=db_path,
            state_folder=state_folder,
        )
        _print_update(report, as_json=as_json)
        return
    suggested = _asked(
        lambda client: client.adaptive_configuration(platform), target, db_path=db_path, state_folder=state_folder
    )
    if as_json:
        print_json(suggested)
    else:
        from corun.cli.config_tables import suggestion_tables

        print_tables(suggestion_tables(suggested))


def _asked(
    work: Callable[[AsyncClient], Awaitable[_Report]],
    target: str | None,
    *,
    db_path: Path | None,
    state_folder: Path | None,
) -> _Report:
    async def ask() -> _Report:
        async with session.session(target, db_path=db_path, state_folder=state_folder) as client:
            return await work(client)

    return session.finish(ask())


def _print_update(report: UpdateReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        from corun.cli.config_tables import update_tables

        print_tables(update_tables(report))
