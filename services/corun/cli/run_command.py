"""`corun run`: models together, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables
from corun.cli.workload import parse_browsers, parse_models

if TYPE_CHECKING:
    from corun_client.conversion.reports import ExecutionReport


def run(
    *,
    models: options.Models,
    platform: options.Platform,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="parallel, sequential or batched; default: the best by prediction."),
    ] = None,
    goal: options.Goal = "latency",
    iterations: options.Iterations = 1,
    error_threshold: Annotated[
        float | None, typer.Option("--error-threshold", help="Largest acceptable prediction error; 0.15 is 15 %.")
    ] = None,
    browsers: options.Browsers = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    models_folder: options.ModelsFolder = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Run models together; print what was predicted beside what was measured."""
    from corun.cli.execution_tables import execution_tables
    from corun.cli.progress import Progress
    from corun_client.calls import execute
    from corun_client.conversion.requests import validation_policy

    configs = parse_models(models)
    # Prepared first: what can be refused here is refused before any service is started.
    call = execute(
        models=configs,
        platform=platform,
        strategy=strategy,
        goal=goal,
        iterations=iterations,
        validation=validation_policy(error_threshold=error_threshold),
        browser_preferences=parse_browsers(browsers or []),
        timeout_seconds=None,
    )

    async def work() -> ExecutionReport:
        with Progress(rounds=iterations) as progress:
            async with session.session(
                target, db_path=db_path, models_folder=models_folder, state_folder=state_folder
            ) as client:
                return await client.follow(call, progress.executed)

    report = session.finish(work())
    if as_json:
        print_json(report)
    else:
        print_tables(execution_tables(report))
