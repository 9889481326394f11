"""`corun up`: all four services in one process."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from corun.cli import options, session
from corun.cli.failures import Interrupted


def up(
    *,
    host: options.Host = "127.0.0.1",
    port: options.Port = 50051,
    max_connections: options.MaxConnections = None,
    db_path: options.DbPath = None,
    models_folder: options.ModelsFolder = None,
    state_folder: options.StateFolder = None,
    validation_interval: options.ValidationInterval = None,
    error_threshold: options.ErrorThreshold = None,
    prediction_refinement: options.PredictionRefinement = None,
    enable_adaptive_optimization: options.AdaptiveOptimization = None,
    exploration_rate: options.ExplorationRate = None,
    verbose: options.Verbose = False,
) -> None:
    """Start the four services on one port and serve until SIGINT or SIGTERM."""
    from corun.embedded import SERVICES, StackOptions, embedded_stack
    from corun.plumbing.logs import configure_logs

    configure_logs(verbose=verbose)
    os.environ.setdefault("CORUN_RESOURCE_POOL_PROBE_AT_START", "true")
    stack: StackOptions = {
        "host": host or "127.0.0.1",
        "port": 50051 if port is None else port,
        "max_connections": max_connections,
        "db_path": db_path,
        "models_folder": models_folder,
        "state_folder": state_folder,
        "validation_interval": validation_interval,
        "error_threshold": error_threshold,
        "prediction_refinement": prediction_refinement,
        "enable_adaptive_optimization": enable_adaptive_optimization,
        "exploration_rate": exploration_rate,
    }

    async def work() -> None:
        async with embedded_stack(**stack) as address:
            for service in SERVICES:
                print(f"{service.replace('_', ' '):<14} {session.listening_on(stack['host'], address)}")
            print("ready; stop with Ctrl-C", flush=True)
            await asyncio.Event().wait()

    with suppress(Interrupted):
        session.finish(work())
