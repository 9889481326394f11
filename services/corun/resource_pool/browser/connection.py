"""One live browser with its page and its lanes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import structlog
from playwright.async_api import Browser, Playwright

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser import processes, scratch
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.launching import LaunchOrder, launch
from corun.resource_pool.browser.page import Page, open_page
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.pulse import watch_pulse
from corun.resource_pool.browser.scales import Scales
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.core.connection_state import ConnectionState, follow
from corun.resource_pool.core.placement import ConnectionView, LaneView

_log = structlog.get_logger(__name__)

_OPEN_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_DEATH_SECONDS = 5.0
_PAGE_CALL_SECONDS = 10.0
_LANE_READY_SECONDS = 60.0
_SETTLED_CHANGE = 0.02
_SETTLE_SECONDS = 2.0
_SETTLE_PAUSE_SECONDS = 0.25
_SAID_CHARACTERS = 300


class Connection:
    """A browser process tree, its one page, and the lanes in that page.

    Whoever holds the lease may open and close lanes; nobody else touches them. When the browser is lost,
    every lane fails at once with BrowserLost and `on_lost` is called, once. A browser that stops answering is lost.

    Attributes:
        epoch: Number of the newest lease; results of older ones are thrown away.
        failed_epoch: Number of the newest lease in which its GPU device was lost.
        run_count: Runs carried out.
        memory_mb: Size when it was last weighed.
        suspect: True when something in it does not work any more; it is not given to anybody else then.
        on_lost: Called once, when it is lost.
        on_lane_gone: Called with each lane that is lost or closed, and why.
        on_late_result: Called when a lane gave an answer that nobody is entitled to any more.
    """

    def __init__(self, *, connection_id: str, engine: Engine, pool_id: str, pages: PageServer) -> None:
        self.connection_id = connection_id
        self.engine = engine
        self.state = ConnectionState.STARTING
        self.version = ""
        self.idle_memory_mb = 0.0
        self.memory_mb = 0.0
        self.lease_count = 0
        self.epoch = 0
        self.failed_epoch = 0
        self.run_count = 0
        self.suspect = False
        self.last_used = time.monotonic()
        self.lanes: dict[str, Lane] = {}
        self.on_lost: Callable[[BrowserConnection], None] = lambda _connection: None
        self.on_lane_gone: Callable[[str, str], None] = lambda _lane_id, _cause: None
        self.on_late_result: Callable[[], None] = lambda: None
        self.lost_cause: str | None = None
        self._pool_id = pool_id
        self._pages = pages
        self._lane_numbers = itertools.count(1)
        self._browser: Browser | None = None
        self._page: Page | None = None
        self._main: psutil.Process | None = None
        self._scales: Scales | None = None
        self._death: processes.DeathNotice | None = None
        self._scratch: Path | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._closing = False

    def __repr__(self) -> str:
        return f"<Connection {self.connection_id} {self.engine.name} {self.state} {len(self.lanes)} lanes>"

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
    def page(self) -> Page:
        """The page that the lanes are in."""
        if self._page is None:
            raise BrowserLost("the browser is not open")
        return self._page

    @property
    def process_id(self) -> int:
        """Of the browser's main process; 0 while there is none."""
        return self._main.pid if self._main is not None else 0

    @property
    def scales(self) -> Scales:
        """What its processes are weighed with."""
        if self._scales is None:
            raise BrowserLost("the browser has no main process")
        return self._scales

    def become(self, state: ConnectionState) -> None:
        """Goes on in its life. Raises ValueError where that is no step of it."""
        self.state = follow(self.state, state)

    async def open(self, playwright: Playwright, executable: Path, *, deny_port: int) -> None:
        """Starts the browser, opens the page and weighs it idle.

        Raises:
            BrowserLost: it did not start; the message has its reason.
            StepTimedOut
        """
        self._scratch = scratch.make_folder(self._pool_id, self.connection_id)
        order = LaunchOrder(
            engine=self.engine,
            executable=executable,
            mark=self._mark,
            page_port=self._pages.port,
            deny_port=deny_port,
            scratch=self._scratch,
        )
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                self._page = await self._launch(playwright, order)
                await self._weigh_idle()
        except TimeoutError as error:
            raise StepTimedOut(f"starting {self.engine.name}", _OPEN_SECONDS) from error
        except Exception as error:  # Playwright raises bare exceptions when its driver is gone
            said = " ".join(str(error).partition("Call log:")[0].split())[:_SAID_CHARACTERS]
            raise BrowserLost(f"{self.engine.name} did not start: {said}") from error
        self._spawn(watch_pulse(self._page, self.lose))

    async def _launch(self, playwright: Playwright, order: LaunchOrder) -> Page:
        self._browser = await launch(playwright, order)
        self._browser.on("disconnected", lambda _browser: self.lose("the browser ended"))
        self.version = self._browser.version
        await asyncio.to_thread(self._find_main)
        return await open_page(self._browser, self.engine, self._pages.page_url, gone=self.lose, said=self._note_words)

    def _note_words(self, words: str) -> None:
        _log.info("page", said=words, connection=self.connection_id)

    @property
    def _mark(self) -> str:
        return processes.mark(self._pool_id, self.connection_id)

    def _find_main(self) -> None:
        self._main = processes.find_main(self._mark)
        if self._main is not None:
            self._scales, self._death = Scales(self._main), processes.DeathNotice(self._main)
        if self._main is not None and self._scratch is not None:
            scratch.note_profile(self._scratch, self._main)

    async def _weigh_idle(self) -> None:
        """Waits until the size stands still, or long enough, and keeps it."""
        size = await self.weigh()
        end = time.monotonic() + _SETTLE_SECONDS
        while True:
            await asyncio.sleep(_SETTLE_PAUSE_SECONDS)
            before, size = size, await self.weigh()
            if abs(size - before) <= _SETTLED_CHANGE * before or time.monotonic() > end:
                self.idle_memory_mb = size
                return

    async def weigh(self) -> float:
        """Proportional set size of the browser's processes now, in megabytes."""
        if self._scales is not None:
            self.memory_mb = await asyncio.to_thread(self._scales.weigh) / 1_000_000
        return self.memory_mb

    async def open_lane(self, *, platform: str, width: int) -> Lane:
        """Starts a worker with its own runtime and waits until it is up.

        Raises:
            LaneFailed: the runtime cannot come up.
            BrowserLost, StepTimedOut
        """
        lane = self._new_lane(platform, width)
        try:
            options = {"lane": lane.lane_id, "platform": platform, "width": width}
            await self._call("options => corun.openLane(options)", options)
            await lane.ready(timeout=_LANE_READY_SECONDS)
        except BaseException:
            await asyncio.shield(self.close_lane(lane.lane_id))
            raise
        return lane

    def _new_lane(self, platform: str, width: int) -> Lane:
        lane = Lane(lane_id=f"{self.connection_id}-{next(self._lane_numbers)}", platform=platform, width=width)
        lane.epoch = self.epoch
        lane.on_lost = partial(self._on_lane_lost, lane)
        lane.on_late_result = self.on_late_result
        self.lanes[lane.lane_id] = lane
        self._pages.expect_lane(lane)
        return lane

    def _on_lane_lost(self, lane: Lane) -> None:
        """Strikes a lane off, however it went; its worker goes too, unless the whole browser does."""
        self._pages.forget_lane(lane.lane_id)
        self.on_lane_gone(lane.lane_id, lane.lost_cause)
        if self.lanes.pop(lane.lane_id, None) is not None and self.lost_cause is None and not self._closing:
            ending = self._spawn(self._end_worker(lane.lane_id))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def lanes_ended(self) -> None:
        """Waits until the workers of lost lanes are gone; a page that died with them is noticed on the way."""
        if self._endings:
            await asyncio.wait(self._endings)

    async def close_lane(self, lane_id: str, *, cause: str = "the lane was closed") -> None:
        """Ends a lane and gives its memory back. Idempotent; a browser that is gone is no error."""
        lane = self.lanes.pop(lane_id, None)
        if lane is not None:
            lane.lose(cause)
            await self._end_worker(lane_id)

    async def _end_worker(self, lane_id: str) -> None:
        with suppress(BrowserLost):
            await self._call("lane => corun.closeLane(lane)", lane_id)

    async def _call(self, script: str, argument: object) -> None:
        if self._page is None or self.lost_cause is not None:
            raise BrowserLost(self.lost_cause or "the browser is not open")
        try:
            async with asyncio.timeout(_PAGE_CALL_SECONDS):
                await self._page.evaluate(script, argument)
        except TimeoutError as error:
            self.lose(f"its page did not answer within {_PAGE_CALL_SECONDS:g} s")
            raise BrowserLost(self.lost_cause or "") from error
        except Exception as error:  # Playwright raises bare exceptions when its driver is gone
            self.lose(f"its page cannot be reached: {error}")
            raise BrowserLost(self.lost_cause or str(error)) from error

    def begin_epoch(self) -> None:
        """A new lease begins: what older ones still have under way counts for nothing."""
        self.epoch += 1
        self.lease_count += 1
        for lane in self.lanes.values():
            lane.begin_epoch(self.epoch)

    def check_alive(self) -> None:
        """Notices a browser whose end nobody told us of, as when Playwright's driver died with it."""
        if self._death is not None and self._death.given:
            self.lose("the browser's process ended")

    def view(self) -> ConnectionView:
        """What placement needs to know."""
        lanes = tuple(
            LaneView(
                lane_id=lane.lane_id,
                platform=lane.platform,
                width=lane.width,
                model_names=frozenset(lane.model_names),
                model_bytes=lane.model_bytes,
                pinned=bool(lane.tensor_names),
                shapes=frozenset(lane.shapes),
            )
            for lane in self.lanes.values()
        )
        return ConnectionView(
            self.connection_id, self.engine.name, self.state, lanes, self.last_used, memory_mb=self.memory_mb
        )

    def lose(self, cause: str) -> None:
        """Gives the browser up: everything that waits for it fails now. Only the first cause counts."""
        if self.lost_cause is None and not self._closing:
            self.lost_cause = cause
            self._lose_lanes(cause)
            self.on_lost(self)

    def _lose_lanes(self, cause: str) -> None:
        for lane in list(self.lanes.values()):
            lane.lose(cause)

    def retire(self, cause: str) -> None:
        """Lets go of the lanes of a browser that is to be closed; it cannot be lost any more. Idempotent."""
        self._closing = True
        self._lose_lanes(self.lost_cause or cause)

    async def close(self) -> None:
        """Closes the browser, kindly if it may still answer and by force in any case. Idempotent."""
        self.retire("the browser was closed")
        for task in self._tasks:
            task.cancel()
        await self._end_browser()

    async def _end_browser(self) -> None:
        if self._main is None:  # starting was cut short
            await asyncio.to_thread(self._find_main)
        if self._browser is not None and self.lost_cause is None:
            with suppress(Exception):  # what cannot be closed kindly is killed below
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._browser.close()
        await asyncio.to_thread(self._clean_up)

    def _clean_up(self) -> None:
        if self._main is not None and (left := processes.end(self._main, within_seconds=_DEATH_SECONDS)):
            _log.error("processes of a browser cannot be ended", processes=[process.pid for process in left])
        if self._death is not None:
            self._death.close()
        if self._scratch is not None:
            scratch.remove(self._scratch)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
