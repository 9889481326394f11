"""Ends a pool's browsers, and removes their files, when the pool's process is gone, however it went.

Runs as a child in a session of its own, holding the reading end of a pipe whose other end only the pool has:
when the pool ends, by SIGKILL too, the pipe reads as closed. A pool that ends in good order says so before.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from corun.resource_pool.browser import processes, scratch

_SWEEP_SECONDS = 3.0
_END_SECONDS = 10.0
_SWEEP_PAUSE_SECONDS = 0.1
# The driver may be about to start a browser when it learns that the pool is gone.
_WATCH_SECONDS = 1.5
_IN_GOOD_ORDER = b"ended"


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
        await asyncio.shield(_ended(child))


async def _ended(child: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_END_SECONDS):
            await child.communicate(_IN_GOOD_ORDER)
    except TimeoutError:
        child.kill()


def sweep(pool_id: str, *, watch_seconds: float) -> None:
    """Kills every process of the pool's browsers, watches for those that are just being born, and removes the
    browsers' files."""
    argument = f"{processes.MARK}{pool_id}/"
    mains: set[psutil.Process] = set()
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < _SWEEP_SECONDS:
        mains.update(processes.find_marked(argument))
        living = [process for main in mains for process in processes.family(main)]
        if not living and passed >= watch_seconds:
            break
        processes.kill(living)
        time.sleep(_SWEEP_PAUSE_SECONDS)
    for folder in scratch.folders(pool_id):
        scratch.remove(folder)


if __name__ == "__main__":
    last_words = sys.stdin.buffer.read()
    sweep(sys.argv[1], watch_seconds=0.0 if last_words == _IN_GOOD_ORDER else _WATCH_SECONDS)
