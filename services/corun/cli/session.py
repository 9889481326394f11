"""A client for one command: of a running deployment, or of services that live as long as the command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from corun.cli.failures import Interrupted

if TYPE_CHECKING:
    from corun_client.async_client import AsyncClient

_Result = TypeVar("_Result")


def finish(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs `work` in a new event loop. SIGINT and SIGTERM cancel it, so that its contexts close.

    Raises:
        Interrupted: when a signal came. Further signals do not disturb the closing.
    """
    return asyncio.run(_until_signalled(work))


def listening_on(host: str, address: str) -> str:
    """The interface and port that a server at the reachable `address` listens on."""
    return f"{host}:{address.rpartition(':')[2]}"


@asynccontextmanager
async def session(
    target: str | None,
    *,
    db_path: Path | None = None,
    models_folder: Path | None = None,
    state_folder: Path | None = None,
    max_connections: int | None = None,
) -> AsyncIterator[AsyncClient]:
    """A client at `target`, or without one of an embedded stack that is closed when the context is left.

    `max_connections` is for the embedded stack only; a deployment has its own.
    """
    from corun.embedded import embedded_stack

    def services() -> AbstractAsyncContextManager[str]:
        # Services that live for one command would never come to the n-th execution.
        return embedded_stack(
            db_path=db_path,
            models_folder=models_folder,
            state_folder=state_folder,
            max_connections=max_connections,
            validation_interval=1,
        )

    given = {"--db-path": db_path, "--models-folder": models_folder, "--state-folder": state_folder}
    async with _client(target, services, given) as client:
        yield client


@asynccontextmanager
async def passing_session(
    target: str | None,
    *,
    db_path: Path | None = None,
    models_folder: Path | None = None,
    state_folder: Path | None = None,
    max_connections: int | None = None,
    fresh_predictor: bool = True,
) -> AsyncIterator[AsyncClient]:
    """As `session`, but unless given an embedded stack has a database that goes with it.

    With `fresh_predictor` the same goes for the predictor's state.
    """
    with TemporaryDirectory(prefix="corun-") as folder:
        if target is None:
            db_path = db_path or Path(folder) / "corun.duckdb"
            if fresh_predictor:
                state_folder = state_folder or Path(folder) / "predictor"
        async with session(
            target,
            db_path=db_path,
            models_folder=models_folder,
            state_folder=state_folder,
            max_connections=max_connections,
        ) as client:
            yield client


@asynccontextmanager
async def pool_session(target: str | None, *, models_folder: Path | None = None) -> AsyncIterator[AsyncClient]:
    """As `session`, for commands that need the resource pool only: no database is touched."""
    from corun.embedded import hosted, settings_of

    def services() -> AbstractAsyncContextManager[str]:
        return hosted("resource_pool", settings_of("resource_pool", port=0, models_folder=models_folder))

    async with _client(target, services, {"--models-folder": models_folder}) as client:
        yield client


@asynccontextmanager
async def validator_session(target: str | None, *, db_path: Path | None = None) -> AsyncIterator[AsyncClient]:
    """As `session`, for commands that need the validator only: no browser is touched."""
    from corun.embedded import hosted, settings_of

    def services() -> AbstractAsyncContextManager[str]:
        return hosted("validator", settings_of("validator", port=0, db_path=db_path))

    async with _client(target, services, {"--db-path": db_path}) as client:
        yield client


@asynccontextmanager
async def _client(
    target: str | None, services: Callable[[], AbstractAsyncContextManager[str]], options: Mapping[str, object]
) -> AsyncIterator[AsyncClient]:
    from corun.plumbing.logs import configure_logs
    from corun_client.async_client import connect_async

    if target is None:
        configure_logs(verbose=False)
        async with services() as address, connect_async(address) as client:
            yield client
        return
    for option, value in options.items():
        if value is not None:
            raise typer.BadParameter("belongs to services started here; leave it out with --target", param_hint=option)
    async with connect_async(target) as client:
        yield client


async def _until_signalled(work: Coroutine[Any, Any, _Result]) -> _Result:
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
