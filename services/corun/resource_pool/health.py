"""Which parts of the pool are in order, for grpc.health.v1: one name a platform, and one for the sandbox."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from corun.resource_pool.capabilities import PLATFORMS
from corun.resource_pool.status import PoolStatus


def parts_of(status: PoolStatus) -> Callable[[], AsyncIterator[Mapping[str, bool]]]:
    """What a server asks for the health of the pool's parts: the state at once, then after every change.

    A platform serves while at least one engine that was tried has it in order. Nothing is said of one that no engine
    was tried for, until all were tried in vain.
    """

    async def parts() -> AsyncGenerator[Mapping[str, bool], None]:
        async with aclosing(status.pool.feed.watch()) as changes:
            async for _ in changes:
                yield _health(status)

    return parts


def _health(status: PoolStatus) -> dict[str, bool]:
    probed = status.capabilities.probed
    tried = [(engine, each) for engine in probed for each in engine.platforms]
    told = {each.platform for _, each in tried}
    if len(probed) == len(status.pool.fleet.engines):
        told = set(PLATFORMS)
    found = {
        name: any(status.platform_state(engine, each) == "ready" for engine, each in tried if each.platform == name)
        for name in PLATFORMS
        if name in told
    }
    available = [engine for engine in probed if engine.available]
    if available:
        found["sandbox"] = all(engine.sandboxed for engine in available)
    return found
