"""One real pool for all browser tests that do no harm to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from corun.resource_pool.config import Settings
from tests.browser.running import serve_pool

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only


@pytest.fixture(scope="session")
async def pool() -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """Two browsers at most, over real gRPC."""
    async with serve_pool(Settings(max_connections=2, core_count=2)) as stub:
        yield stub
