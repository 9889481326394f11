"""`corun serve`: one service as a process of its own."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Annotated

import typer

from corun.cli import options, session
from corun.cli.failures import Interrupted

app = typer.Typer(
    help="Serve one service until SIGINT or SIGTERM. Options left out come from its environment variables.",
)


@app.command()
def predictor(
    *,
    host: options.Host = None,
    port: options.Port = None,
    state_folder: options.StateFolder = None,
    verbose: options.Verbose = False,
) -> None:
    """Predicts latency, throughput and memory."""
    _serve("predictor", verbose=verbose, host=host, port=port, state_folder=state_folder)


@app.command("resource-pool")
def resource_pool(
    *,
    host: options.Host = None,
    port: options.Port = None,
    max_connections: options.MaxConnections = None,
    models_folder: options.ModelsFolder = None,
    verbose: options.Verbose = False,
) -> None:
    """Holds browsers and models, and runs plans."""
    os.environ.setdefault("CORUN_RESOURCE_POOL_PROBE_AT_START", "true")
    given = {"max_connections": max_connections, "models_folder": models_folder}
    _serve("resource_pool", verbose=verbose, host=host, port=port, **given)


@app.command()
def validator(
    *,
    host: options.Host = None,
    port: options.Port = None,
    db_path: options.DbPath = None,
    error_threshold: options.ErrorThreshold = None,
    verbose: options.Verbose = False,
) -> None:
    """Keeps executions and says how good the predictions are."""
    _serve("validator", verbose=verbose, host=host, port=port, db_path=db_path, error_threshold=error_threshold)


_Peer = Annotated[str | None, typer.Option(metavar="HOST:PORT")]


@app.command()
def orchestrator(
    *,
    host: options.Host = None,
    port: options.Port = None,
    predictor_target: _Peer = None,
    resource_pool_target: _Peer = None,
    validator_target: _Peer = None,
    validation_interval: options.ValidationInterval = None,
    error_threshold: options.ErrorThreshold = None,
    prediction_refinement: options.PredictionRefinement = None,
    enable_adaptive_optimization: options.AdaptiveOptimization = None,
    exploration_rate: options.ExplorationRate = None,
    verbose: options.Verbose = False,
) -> None:
    """Executes with a strategy and compares strategies, by calling the other three."""
    from corun_client.target import checked_target

    targets = {
        "predictor_target": predictor_target,
        "resource_pool_target": resource_pool_target,
        "validator_target": validator_target,
    }
    for name, target in targets.items():
        if target is not None:
            checked_target(target, parameter=f"--{name.replace('_', '-')}")
    given = {
        "validation_interval": validation_interval,
        "error_threshold": error_threshold,
        "prediction_refinement": prediction_refinement,
        "enable_adaptive_optimization": enable_adaptive_optimization,
        "exploration_rate": exploration_rate,
    }
    _serve("orchestrator", verbose=verbose, host=host, port=port, **targets, **given)


def _serve(service: str, *, verbose: bool, **given: object) -> None:
    from corun.embedded import hosted, settings_of
    from corun.plumbing.logs import configure_logs

    configure_logs(verbose=verbose)
    settings = settings_of(service, **given)

    async def work() -> None:
        async with hosted(service, settings) as address:
            print(f"{service} listening on {session.listening_on(settings.host, address)}", flush=True)
            await asyncio.Event().wait()

    with suppress(Interrupted):
        session.finish(work())
