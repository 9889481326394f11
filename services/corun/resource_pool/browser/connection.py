"""One live browser with its page and its lanes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import structlog
from playwright.async_api import Browser, BrowserType, Page

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser import processes
from corun.resource_pool.browser.engines import Engine, runs_sandboxed
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.core.placement import ConnectionView, LaneView

_log = structlog.get_logger(__name__)

_OPEN_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_PAGE_CALL_SECONDS = 10.0
_LANE_READY_SECONDS = 60.0
_SETTLED_CHANGE = 0.02
_SETTLE_SECONDS = 2.0
_SETTLE_PAUSE_SECONDS = 0.25
_SAID_CHARACTERS = 300


class Connection:
    """A browser process tree, its one page, and the lanes in that page.

    Whoever holds the lease may open and close lanes; nobody else touches them. When the browser is lost,
    every lane fails at once with BrowserLost and `on_lost` is called, once.
    """

    def __init__(self, *, connection_id: str, engine: Engine, pool_id: str, pages: PageServer) -> None:
        self.connection_id = connection_id
        self.engine = engine
        self.version = ""
        self.idle_memory_mb = 0.0
        self.lease_count = 0
        self.last_used = time.monotonic()
        self.lanes: dict[str, Lane] = {}
        self.on_lost: Callable[[Connection], None] = lambda _connection: None
        self.lost_cause: str | None = None
        self._pool_id = pool_id
        self._pages = pages
        self._lane_numbers = itertools.count(1)
        self._browser: Browser | None = None
        self._page: Page | None = None
        self._main: psutil.Process | None = None
        self._closing = False

    def __repr__(self) -> str:
        state = f"lost: {self.lost_cause}" if self.lost_cause else f"{len(self.lanes)} lanes"
        return f"<Connection {self.connection_id} {self.engine.name} {state}>"

    @property
    def main_process(self) -> psutil.Process:
        """The browser's main process."""
        if self._main is None:
            raise BrowserLost("the browser has no main process")
        return self._main

    @property
    def browser(self) -> Browser:
        """Playwright's handle of the browser."""
        if self._browser is None:
            raise BrowserLost("the browser is not open")
        return self._browser

    @property
    def process_id(self) -> int:
        """Of the browser's main process; 0 while there is none."""
        return self._main.pid if self._main is not None else 0

    async def open(self, browser_type: BrowserType, executable: Path) -> None:
        """Starts the browser, opens the page and weighs it idle.

        Raises:
            BrowserLost: it did not start; the message has its reason.
            StepTimedOut
        """
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._launch(browser_type, executable)
                await self._weigh_idle()
        except TimeoutError as error:
            raise StepTimedOut(f"starting {self.engine.name}", _OPEN_SECONDS) from error
        except Exception as error:  # Playwright raises bare exceptions when its driver is gone
            said = " ".join(str(error).partition("Call log:")[0].split())[:_SAID_CHARACTERS]
            raise BrowserLost(f"{self.engine.name} did not start: {said}") from error

    async def _launch(self, browser_type: BrowserType, executable: Path) -> None:
        self._browser = await browser_type.launch(
            executable_path=executable,
            args=[*self.engine.arguments(), processes.mark(self._pool_id, self.connection_id)],
            chromium_sandbox=await asyncio.to_thread(runs_sandboxed),
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        self._browser.on("disconnected", lambda _browser: self._lose("the browser ended"))
        self.version = self._browser.version
        self._main = await asyncio.to_thread(processes.find_main, self._pool_id, self.connection_id)
        context = await self._browser.new_context(service_workers="block")
        self._page = await context.new_page()
        self._page.on("crash", lambda _page: self._lose("the page crashed"))
        self._page.on("console", lambda message: _log.info("page", said=message.text, connection=self.connection_id))
        await self._page.goto(self._pages.page_url)
        await self._page.wait_for_function("globalThis.corun !== undefined")

    async def _weigh_idle(self) -> None:
        """Waits until the size stands still, or long enough, and keeps it."""
        size = await self.memory_mb()
        end = time.monotonic() + _SETTLE_SECONDS
        while True:
            await asyncio.sleep(_SETTLE_PAUSE_SECONDS)
            before, size = size, await self.memory_mb()
            if abs(size - before) <= _SETTLED_CHANGE * before or time.monotonic() > end:
                self.idle_memory_mb = size
                return

    async def memory_mb(self) -> float:
        """Proportional set size of the browser's processes now, in megabytes."""
        return await asyncio.to_thread(self._weigh)

    def _weigh(self) -> float:
        if self._main is None:
            return 0.0
        return processes.proportional_set_size(each.pid for each in processes.tree(self._main)) / 1_000_000

    async def open_lane(self, *, platform: str, width: int) -> Lane:
        """Starts a worker with its own runtime and waits until it is up.

        Raises:
            LaneFailed: the runtime cannot come up.
            BrowserLost, StepTimedOut
        """
        lane = Lane(lane_id=f"{self.connection_id}-{next(self._lane_numbers)}", platform=platform, width=width)
        self._pages.expect_lane(lane)
        self.lanes[lane.lane_id] = lane
        try:
            options = {"lane": lane.lane_id, "platform": platform, "width": width}
            await self._call("options => corun.openLane(options)", options)
            await lane.ready(timeout=_LANE_READY_SECONDS)
        except BaseException:
            await asyncio.shield(self.close_lane(lane.lane_id))
            raise
        return lane

    async def close_lane(self, lane_id: str) -> None:
        """Ends a lane and gives its memory back. Idempotent; a browser that is gone is no error."""
        lane = self.lanes.pop(lane_id, None)
        if lane is None:
            return
        self._pages.forget_lane(lane_id)
        with suppress(BrowserLost):
            await self._call("lane => corun.closeLane(lane)", lane_id)
        lane.lose("the lane was closed")

    async def _call(self, script: str, argument: object) -> None:
        if self._page is None or self.lost_cause is not None:
            raise BrowserLost(self.lost_cause or "the browser is not open")
        try:
            async with asyncio.timeout(_PAGE_CALL_SECONDS):
                await self._page.evaluate(script, argument)
        except TimeoutError as error:
            self._lose(f"its page did not answer within {_PAGE_CALL_SECONDS:g} s")
            raise BrowserLost(self.lost_cause or "") from error
        except Exception as error:  # Playwright raises bare exceptions when its driver is gone
            self._lose(f"its page cannot be reached: {error}")
            raise BrowserLost(self.lost_cause or str(error)) from error

    def check_alive(self) -> None:
        """Notices a browser whose end nobody told us of, as when Playwright's driver died with it."""
        if self._main is not None and not processes.is_alive(self._main):
            self._lose("the browser's process ended")

    def view(self, *, ready: bool) -> ConnectionView:
        """What placement needs to know."""
        lanes = tuple(
            LaneView(lane.lane_id, lane.platform, lane.width, frozenset(lane.model_names))
            for lane in self.lanes.values()
        )
        return ConnectionView(self.connection_id, ready and self.lost_cause is None, lanes, self.last_used)

    def _lose(self, cause: str) -> None:
        if self.lost_cause is not None or self._closing:
            return
        self.lost_cause = cause
        for lane in self.lanes.values():
            lane.lose(cause)
        self.on_lost(self)

    async def close(self) -> None:
        """Closes the browser, kindly if it answers and by force in any case. Idempotent."""
        self._closing = True
        for lane in self.lanes.values():
            self._pages.forget_lane(lane.lane_id)
            lane.lose("the browser was closed")
        self.lanes.clear()
        if self._main is None:  # starting was cut short
            self._main = await asyncio.to_thread(processes.find_main, self._pool_id, self.connection_id)
        # Listed while the main process lives: what it leaves behind has another parent then.
        everything = await asyncio.to_thread(processes.tree, self._main) if self._main else []
        if self._browser is not None:
            with suppress(Exception):  # what cannot be closed kindly is killed below
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._browser.close()
        await asyncio.to_thread(processes.kill, everything)
