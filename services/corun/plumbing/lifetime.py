"""The life of a service process: build, announce, wait for a signal, close in reverse."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from pydantic import ValidationError

from corun.errors import CorunError
from corun.plumbing.logs import configure_logs
from corun.plumbing.server import Server, Service
from corun.plumbing.settings import ServiceSettings

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


async def until_signalled() -> None:
    """Returns when the process is asked to end by SIGINT or SIGTERM."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


def run_service(
    name: str,
    settings_class: type[SettingsT],
    build: Callable[[SettingsT], AbstractAsyncContextManager[Service]],
) -> None:
    """Runs one service until it is asked to end. What stops it from starting is one line and exit code 1."""
    configure_logs(verbose=False)
    try:
        asyncio.run(_serve(name, settings_class(), build))
    except (CorunError, OSError) as error:
        sys.exit(f"{name}: {error}")
    except ValidationError as error:
        prefix = settings_class.model_config.get("env_prefix", "")
        problems = [f"{prefix}{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
        sys.exit(f"{name}: {'; '.join(problems)}")


async def _serve(
    name: str, settings: SettingsT, build: Callable[[SettingsT], AbstractAsyncContextManager[Service]]
) -> None:
    signalled = asyncio.create_task(until_signalled())  # first: whoever reads the line below may signal at once
    server = Server(host=settings.host, port=settings.port, grace_seconds=settings.grace_seconds)
    async with build(settings) as service, server.serving([service]):
        print(f"{name} listening on {server.address}", flush=True)  # noqa: T201  (the process's one announcement)
        await signalled
