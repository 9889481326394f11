"""Waiting for what has no event to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object], *, within: float = 10.0) -> None:
    """Returns when `holds()` is true.

    Raises:
        TimeoutError: it was not within some seconds.
    """
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110  (a fake's lists have no event)
            await asyncio.sleep(0.02)
