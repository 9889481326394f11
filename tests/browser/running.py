"""Starts a real pool for tests."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

_START_SECONDS, _END_SECONDS = 60, 20


def settled_settings(models_folder: Path | None = None) -> Settings:
    """Of a pool with one browser, whose figures are worth a comparison: nothing is compiled beside a plan."""
    return Settings(max_connections=1, core_count=2, models_folder=models_folder, settle_seconds=1)


@asynccontextmanager
async def serve_pool(settings: Settings) -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """A pool of its own on a free port."""
    server = Server(host="127.0.0.1", port=0)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        yield ResourcePoolServiceStub(channel)


@asynccontextmanager
async def pool_process(
    settings: Mapping[str, object], *, environment: Mapping[str, str] | None = None, stderr: int | None = None
) -> AsyncIterator[tuple[Process, str]]:
    """A pool in a process of its own, with these settings and variables: the process and its address.

    It tries no engine before it is asked to, unlike a service that somebody starts.
    """
    given = {
        f"CORUN_RESOURCE_POOL_{name.upper()}": str(value)
        for name, value in {"port": 0, "probe_at_start": False, **settings}.items()
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corun.resource_pool",
        env={**os.environ, **given, **(environment or {})},
        stdout=PIPE,
        stderr=stderr,
    )
    try:
        yield child, await _address(child)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            raise


async def _address(child: Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(_START_SECONDS):
        while not (line := (await child.stdout.readline()).decode()).startswith("resource_pool listening on "):
            assert line
    return line.split()[-1]
