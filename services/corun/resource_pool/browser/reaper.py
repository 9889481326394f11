"""Ends a pool's browsers when the pool's process is gone, however it went.

Runs as a child in a session of its own, holding the reading end of a pipe whose other end only the pool has:
when the pool ends, by SIGKILL too, the pipe reads as closed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corun.resource_pool.browser import processes

_SWEEP_SECONDS = 3.0
_SWEEP_PAUSE_SECONDS = 0.2


@asynccontextmanager
async def reaper(pool_id: str) -> AsyncIterator[None]:
    """Keeps a reaper for this pool alive while the context is open."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corun.resource_pool.browser.reaper",
        pool_id,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        if child.stdin is not None:
            child.stdin.close()
        await asyncio.shield(child.wait())


def sweep(pool_id: str) -> None:
    """Kills every process of the pool's browsers, and looks again for those that were just being born."""
    argument = f"{processes.MARK}{pool_id}/"
    end = time.monotonic() + _SWEEP_SECONDS
    while True:
        marked = processes.find_marked(argument)
        processes.kill([descendant for process in marked for descendant in processes.tree(process)])
        if not marked or time.monotonic() > end:
            return
        time.sleep(_SWEEP_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    sweep(sys.argv[1])
