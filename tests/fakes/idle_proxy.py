"""A TCP proxy that cuts connections on which nothing goes either way, as load balancers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class IdleProxy:
    """Where it listens, and how many connections it has cut."""

    address: str = ""
    cut_count: int = 0


@asynccontextmanager
async def idle_proxy(target: str, *, idle_seconds: float) -> AsyncIterator[IdleProxy]:
    """Forwards to HOST:PORT until the context is left."""
    host, _, port = target.rpartition(":")
    proxy = IdleProxy()
    connections: set[asyncio.Task[None]] = set()

    async def forward(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        task.add_done_callback(connections.discard)
        server_in, server_out = await asyncio.open_connection(host, int(port))
        moved = asyncio.Event()
        pumps = [
            asyncio.create_task(_pump(client_in, server_out, moved)),
            asyncio.create_task(_pump(server_in, client_out, moved)),
        ]
        try:
            while not any(pump.done() for pump in pumps):
                moved.clear()
                async with asyncio.timeout(idle_seconds):
                    await moved.wait()
        except TimeoutError:
            proxy.cut_count += 1
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in (client_out, server_out):
                writer.transport.abort()

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, moved: asyncio.Event) -> None:
    with suppress(OSError):
        while content := await source.read(65_536):
            sink.write(content)
            await sink.drain()
            moved.set()
    moved.set()
