"""The life of a service process: build, announce, wait for a signal, close in reverse."""

from __future__ import annotations

import asyncio
import signal


async def until_signalled() -> None:
    """Returns when the process is asked to end by SIGINT or SIGTERM."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()
