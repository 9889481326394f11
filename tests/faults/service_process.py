"""A service in a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

_START_SECONDS, _END_SECONDS = 60, 20


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@asynccontextmanager
async def service_process(service: str, settings: Mapping[str, object]) -> AsyncIterator[tuple[Process, str]]:
    """`python -m corun.<service>` with these settings: the process and its address. It is ended on leaving."""
    given = {f"CORUN_{service.upper()}_{name.upper()}": str(value) for name, value in settings.items()}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"corun.{service}", env={**os.environ, **given}, stdout=PIPE
    )
    try:
        yield child, await _address(service, child)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            raise


async def kill(child: Process) -> None:
    """Ends a process as a power cut would, and waits until it is gone."""
    child.send_signal(signal.SIGKILL)
    await child.wait()


async def _address(service: str, child: Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(_START_SECONDS):
        while not (line := (await child.stdout.readline()).decode()).startswith(f"{service} listening on "):
            assert line, f"{service} ended before it listened"
    return line.split()[-1]
