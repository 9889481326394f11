"""The whole resource pool over real gRPC, with browsers that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.fakes.fake_browser import FakeStarter

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only


@asynccontextmanager
async def pool_stack(
    starter: FakeStarter, folder: Path, **settings: Any
) -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """A pool of its own on a free port, with the models of `folder` and a cache inside of it."""
    told: dict[str, Any] = {"core_count": 2, "models_folder": folder, "cache_folder": folder / ".cache"} | settings
    server = Server(host="127.0.0.1", port=0, grace_seconds=0)
    async with (
        build(Settings(**told), make_starter=starter.with_pages) as service,
        server.serving([service]),
        open_channel(server.address) as channel,
    ):
        yield ResourcePoolServiceStub(channel)
