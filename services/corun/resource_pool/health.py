"""Which parts of the pool are in order, for grpc.health.v1: one name a platform, and one for the sandbox."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from corun.resource_pool.capabilities import PLATFORMS
from corun.resource_pool.status import PoolStatus


def parts_of(status: PoolStatus) -> Callable[[], AsyncIterator[Mapping[str, bool]]]:
    """What a server asks for the health of the pool's parts: the state at once, then after every change.

    A platform serves while at least one engine that was tried has it in order; before it was tried nothing is said.
    """

    async def parts() -> AsyncGenerator[Mapping[str, bool], None]:
        async with aclosing(status.pool.feed.watch()) as changes:
            async for _ in changes:
                yield _health(status)

    return parts


def _health(status: PoolStatus) -> dict[str, bool]:
    tried = [(engine, each) for engine in status.capabilities.probed for each in engine.platforms]
    found = {
        name: any(status.platform_state(engine, each) == "ready" for engine, each in tried if each.platform == name)
        for name in PLATFORMS
        if any(each.platform == name for _, each in tried)
    }
    if status.capabilities.probed:
        found["sandbox"] = all(engine.sandboxed for engine in status.capabilities.probed if engine.available)
    return found
