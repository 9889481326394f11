"""Services built by name, and all four in one process on one server and one port.

Clients reach them by gRPC. Among themselves they make the same calls, but over no wire: that would take milliseconds
from every execution.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

from pydantic import ValidationError

from corun.errors import InvalidField
from corun.plumbing.local_channel import LocalChannel
from corun.plumbing.server import Server, Service
from corun.plumbing.settings import ServiceSettings

# In the order they are built: a database that somebody else holds is found out before any browser is touched.
SERVICES = ("validator", "predictor", "resource_pool", "orchestrator")


class StackOptions(TypedDict, total=False):
    """What the embedded stack may be told. Absent or None: the service's own setting, from its environment.

    Attributes:
        host: Interface to listen on; 127.0.0.1.
        port: Port, or 0 (the default) for a free one.
        max_connections: Most browsers at once.
        models_folder: The user's own models, `<folder>/<name>/model.onnx` or `encoder.onnx` and `decoder.onnx` there.
        db_path: The validator's DuckDB file; the orchestrator keeps executions in the folder `<db_path>.executions`.
        state_folder: Where the predictor keeps what it has learnt, and in `orchestrator` there executions.
        validation_interval: Every how many executions on a platform are validated.
        error_threshold: Largest acceptable error of a prediction, 0.15 meaning 15 %.
        history_size: Newest validations of each platform that trends and recommendations are made of.
        refinement_interval: Validations on a platform between two refinements.
        prediction_refinement: Whether the predictor is refined when the validator recommends it.
        enable_adaptive_optimization: Whether what bounds the choice is adapted by itself.
        exploration_rate: Share of automatic choices that try an alternative which may be as good as the best.
        enable_trend_analysis: Whether metrics tell of trends and drift.
    """

    host: str
    port: int
    max_connections: int | None
    models_folder: Path | str | None
    db_path: Path | str | None
    state_folder: Path | str | None
    validation_interval: int | None
    error_threshold: float | None
    history_size: int | None
    refinement_interval: int | None
    prediction_refinement: bool | None
    enable_adaptive_optimization: bool | None
    exploration_rate: float | None
    enable_trend_analysis: bool | None


def settings_of(service: str, **given: object) -> ServiceSettings:
    """Settings of one of SERVICES: what is given, else the environment, else its defaults.

    Raises:
        InvalidField: when a value breaks its rule.
    """
    kind = importlib.import_module(f"corun.{service}.config").Settings
    try:
        return cast("ServiceSettings", kind(**{name: value for name, value in given.items() if value is not None}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or service
        raise InvalidField(field, f"{first['msg']}; received {first['input']!r}") from None


@asynccontextmanager
async def built(service: str, settings: ServiceSettings, **wiring: Any) -> AsyncIterator[Service]:
    """One of SERVICES, ready to be served; closed when the context is left. `wiring` is what its `build` takes
    besides."""
    module: Any = importlib.import_module(f"corun.{service}.build")
    async with module.build(settings, **wiring) as ready:
        yield ready


@asynccontextmanager
async def hosted(service: str, settings: ServiceSettings) -> AsyncIterator[str]:
    """One of SERVICES on a server of its own, as `settings` say; yields its address, HOST:PORT."""
    server = Server(host=settings.host, port=settings.port, grace_seconds=settings.grace_seconds)
    async with built(service, settings) as ready, server.serving([ready]):
        yield _reachable(settings.host, server.port)


@asynccontextmanager
async def embedded_stack(**options: Unpack[StackOptions]) -> AsyncIterator[str]:
    """All four services in the running loop; yields their one address, HOST:PORT.

    Leaving the context ends calls first and then closes the services in reverse, browsers and database included.

    Raises:
        OSError: when the address is taken.
        CorunError: when a setting breaks its rule or a service cannot be built, for example DatabaseLocked.
    """
    settings = _stack_settings(options)
    host = options.get("host", "127.0.0.1")
    server = Server(host=host, port=options.get("port", 0))  # first: the orchestrator must be told where its peers are
    address = _reachable(host, server.port)
    peers = {f"{peer}_target": address for peer in ("predictor", "resource_pool", "validator")}
    settings["orchestrator"] = settings["orchestrator"].model_copy(update=peers)
    local = LocalChannel()
    wiring = {"orchestrator": {"connect": lambda _target: local}}
    async with AsyncExitStack() as stack:
        services = []
        for name in SERVICES:
            services.append(await stack.enter_async_context(built(name, settings[name], **wiring.get(name, {}))))
            await local.serve(services[-1])
        await stack.enter_async_context(server.serving(services))
        yield address


def _stack_settings(options: StackOptions) -> dict[str, ServiceSettings]:
    validator = settings_of(
        "validator",
        db_path=options.get("db_path"),
        error_threshold=options.get("error_threshold"),
        history_size=options.get("history_size"),
        refinement_interval=options.get("refinement_interval"),
        enable_trend_analysis=options.get("enable_trend_analysis"),
    )
    orchestrator = settings_of(
        "orchestrator",
        state_folder=_executions_folder(options, validator),
        validation_interval=options.get("validation_interval"),
        error_threshold=options.get("error_threshold"),
        prediction_refinement=options.get("prediction_refinement"),
        enable_adaptive_optimization=options.get("enable_adaptive_optimization"),
        exploration_rate=options.get("exploration_rate"),
    )
    # One that knows the validator's threshold need not wait for its judgement.
    threshold = orchestrator.model_dump()["error_threshold"] or validator.model_dump()["error_threshold"]
    return {
        "validator": validator,
        "predictor": settings_of("predictor", state_folder=options.get("state_folder")),
        "resource_pool": settings_of(
            "resource_pool",
            max_connections=options.get("max_connections"),
            models_folder=options.get("models_folder"),
        ),
        "orchestrator": orchestrator.model_copy(update={"error_threshold": threshold}),
    }


def _executions_folder(options: StackOptions, validator: ServiceSettings) -> Path | None:
    """Beside the database, so that stacks with records of their own are nowhere in each other's way."""
    state_folder = options.get("state_folder")
    if state_folder is not None:
        return Path(state_folder) / "orchestrator"
    return (
        None
        if "CORUN_ORCHESTRATOR_STATE_FOLDER" in os.environ
        else Path(f"{validator.model_dump()['db_path']}.executions")
    )


def _reachable(host: str, port: int) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"
