"""Waiting until browsers have nothing left to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psutil

from corun.resource_pool.browser import processes

# Between two looks, how many in a row must show a browser idle, and below how much of a core it counts as that.
_LOOK_SECONDS, _IDLE_LOOKS, _IDLE_CORES = 0.25, 2, 0.2


async def until_idle(mains: Sequence[psutil.Process], *, longest_seconds: float) -> bool:
    """Returns when browsers, given by their main processes, use next to no processor time; False after the longest
    time.

    A browser goes on working when its lanes have answered: threads of its own compile what was run often, which is
    neither time nor memory of what runs in its lanes. Where WebAssembly cannot wait for promises, the largest functions
    of the runtime for WebGPU and WebNN take 25 to 40 seconds of a core and 700 MB.
    """

    def look() -> tuple[float, float]:
        """What was used so far, and when that was: the thread may have had to wait for its turn."""
        return sum(map(processes.processor_seconds, mains)), time.monotonic()

    deadline = time.monotonic() + longest_seconds
    (before, since), idle_looks = await asyncio.to_thread(look), 0
    while idle_looks < _IDLE_LOOKS:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
        after, now = await asyncio.to_thread(look)
        idle_looks = idle_looks + 1 if after - before < _IDLE_CORES * (now - since) else 0
        before, since = after, now
    return True
