"""Playwright's driver process, through which browsers are started; another takes its place when it dies."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import psutil
import structlog
from playwright.async_api import Playwright, async_playwright

from corun.errors import BrowserLost
from corun.resource_pool.browser import processes

_log = structlog.get_logger(__name__)

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_DRIVER_ARGUMENT = "run-driver"


class Driver:
    """Starts on first use. Its browsers die with it, and the next use starts another."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._process: psutil.Process | None = None
        self._lock = asyncio.Lock()

    async def playwright(self) -> Playwright:
        """What starts browsers.

        Raises:
            BrowserLost: the driver does not start.
        """
        async with self._lock:
            if self._process is not None and not processes.is_alive(self._process):
                _log.warning("browser driver ended; starting another")
                await self._stop()
            if self._playwright is None:
                await self._start()
            assert self._playwright is not None
            return self._playwright

    async def close(self) -> None:
        """Ends the driver and with it every browser. Idempotent."""
        async with self._lock:
            await self._stop()

    async def _start(self) -> None:
        before = {process.pid for process in _drivers()}
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._playwright = await async_playwright().start()
        except Exception as error:  # Playwright raises bare exceptions where its driver is concerned
            raise BrowserLost(f"the browser driver did not start: {error}") from error
        self._process = next((process for process in _drivers() if process.pid not in before), None)

    async def _stop(self) -> None:
        playwright, process = self._playwright, self._process
        self._playwright = self._process = None
        if playwright is not None:
            with suppress(Exception):  # a dead driver cannot be told to stop
                async with asyncio.timeout(_STOP_SECONDS):
                    await playwright.stop()
        if process is not None:
            processes.kill([process])


def _drivers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process(os.getpid()).children():
        with suppress(psutil.Error):
            if _DRIVER_ARGUMENT in child.cmdline():
                found.append(child)
    return found
