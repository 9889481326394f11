"""Starts a real pool for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only


@asynccontextmanager
async def serve_pool(settings: Settings) -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """A pool of its own on a free port."""
    server = Server(host="127.0.0.1", port=0)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        yield ResourcePoolServiceStub(channel)
