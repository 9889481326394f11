"""`corun compare`: models under every strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables
from corun.cli.workload import parse_browsers, parse_models

if TYPE_CHECKING:
    from corun_client.conversion.reports import ComparisonReport

_STRATEGY_COUNT = 3
_FEWEST_ROUNDS = 3


def compare(
    *,
    models: options.Models,
    platform: options.Platform,
    goal: options.Goal = "latency",
    iterations: options.Iterations = 1,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds", help="Rounds; each runs every strategy once. Default: until the order is clear, 3 to 10."
        ),
    ] = None,
    browsers: options.Browsers = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    models_folder: options.ModelsFolder = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Run models under every strategy in interleaved rounds; print which was best."""
    from corun.cli.comparison_tables import comparison_tables
    from corun.cli.progress import Progress
    from corun_client import calls

    configs = parse_models(models)
    # Prepared first: what can be refused here is refused before any service is started.
    call = calls.compare(
        models=configs,
        platform=platform,
        goal=goal,
        strategies=(),
        iterations=iterations,
        rounds=rounds,
        browser_preferences=parse_browsers(browsers or []),
        timeout_seconds=None,
    )

    async def work() -> ComparisonReport:
        with Progress(rounds=(rounds or _FEWEST_ROUNDS) * _STRATEGY_COUNT) as progress:
            async with session.session(
                target, db_path=db_path, models_folder=models_folder, state_folder=state_folder
            ) as client:
                return await client.follow(call, progress.compared)

    report = session.finish(work())
    if as_json:
        print_json(report)
    else:
        print_tables(comparison_tables(report))
