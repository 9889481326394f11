"""A gRPC server with health, reflection, limits and a graceful end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from corun.plumbing.guard import Guard

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_CONCURRENT_RPCS = 1000


@dataclass(frozen=True, slots=True)
class Service:
    """A service and how it is added to a server.

    Attributes:
        name: Its full name, for health and reflection.
        servicer: Answers its calls.
        add: The generated function that adds it.
        parts: Gives, at once and after every change, which of its parts are in order; health tells of each as
            `<name>/<part>`.
        drain: Awaited before calls are cut off, so that streams may end by themselves.
    """

    name: str
    servicer: Any
    add: Callable[[Any, grpc.aio.Server], None]
    parts: Callable[[], AsyncIterator[Mapping[str, bool]]] | None = None
    drain: Callable[[], Awaitable[None]] | None = None


class Server:
    """Holds one address from the moment it is made, so that services may be told of it before it serves.

    Args:
        host: Interface to listen on.
        port: Port, or 0 for a free one.
        grace_seconds: How long calls may take to finish when serving ends.

    Raises:
        OSError: when the address is taken or cannot be bound.
    """

    def __init__(self, *, host: str, port: int, grace_seconds: float = 5.0) -> None:
        self._grace_seconds = grace_seconds
        self._server = grpc.aio.server(
            interceptors=[Guard()],
            maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS,
            options=[
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # else a second server silently shares the port
            ],
        )
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {host}:{port}: is the port taken?") from error
        self.address = f"{host}:{self.port}"

    @asynccontextmanager
    async def serving(self, services: Sequence[Service]) -> AsyncIterator[None]:
        """Serves while the context is open; on leaving, health goes first, then calls get their grace."""
        probe = health.aio.HealthServicer()
        for service in services:
            service.add(service.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(probe, self._server)
        names = [service.name for service in services]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        await self._server.start()
        for name in ["", *names]:
            await probe.set(name, health_pb2.HealthCheckResponse.SERVING)
        watches = [asyncio.create_task(_watch_parts(service, probe)) for service in services if service.parts]
        try:
            yield
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await asyncio.shield(self._stop(probe, services))

    async def _stop(self, probe: health.aio.HealthServicer, services: Sequence[Service]) -> None:
        await probe.enter_graceful_shutdown()
        for service in services:
            if service.drain is not None:
                await service.drain()
        await self._server.stop(self._grace_seconds)


async def _watch_parts(service: Service, probe: health.aio.HealthServicer) -> None:
    told: dict[str, bool] = {}
    assert service.parts is not None
    async for parts in service.parts():
        for part, in_order in parts.items():
            if told.get(part) is not in_order:
                told[part] = in_order
                states = health_pb2.HealthCheckResponse
                await probe.set(f"{service.name}/{part}", states.SERVING if in_order else states.NOT_SERVING)
