"""Waiting for what has no event to wait for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(holds: Callable[[], object], within: float = 10.0) -> float:
    """Returns when `holds()` is true; gives how long it took, in seconds.

    Raises:
        TimeoutError: it was not within so many seconds.
    """
    begin = time.monotonic()
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110  (what tests look at has no event)
            await asyncio.sleep(0.02)
    return time.monotonic() - begin
