"""Browsers that are none: real processes that do nothing, and lanes that run models in this one."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from corun.errors import BrowserLost
from corun.resource_pool.browser.engines import ENGINES, Engine
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.scales import Scales
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.core.connection_state import ConnectionState, follow
from corun.resource_pool.core.placement import ConnectionView, LaneView
from tests.fakes.fake_lane import Behaviour, FakeWorker

INSTALLED = ("chromium", "chromium-shell", "firefox")
_PROCESS_SECONDS = "600"
_LANE_READY_SECONDS = 10.0


def fake_engines() -> dict[str, Engine]:
    """All engines that corun knows, of which the first three are installed."""
    return {name: replace(engine, find=_there if name in INSTALLED else _nowhere) for name, engine in ENGINES.items()}


def _there() -> Path | None:
    return Path("/bin/sleep")


def _nowhere() -> Path | None:
    return None


class FakeStarter:
    """Makes fake browsers.

    Attributes:
        engines: By name.
        behaviour: Of all their lanes. Chromium has no WebNN, as in the real world.
        start_seconds: How long a browser takes to start.
        start_problems: Why an engine does not start, by its name.
        made: Every connection so far, in order.
    """

    def __init__(self) -> None:
        self.engines: Mapping[str, Engine] = fake_engines()
        self.behaviour = Behaviour(missing={"chromium": {"webnn"}})
        self.start_seconds = 0.0
        self.start_problems: dict[str, str] = {}
        self.made: list[FakeConnection] = []
        self._numbers = itertools.count(1)
        self._pages: PageServer

    def with_pages(self, *, pages: PageServer, **_others: object) -> FakeStarter:
        """Takes the place of a real starter."""
        self._pages = pages
        return self

    def connection(self, engine: Engine) -> FakeConnection:
        """A connection that is yet to be opened."""
        connection = FakeConnection(f"c{next(self._numbers)}", engine, self._pages, self.behaviour)
        self.made.append(connection)
        return connection

    async def open(self, connection: FakeConnection) -> None:
        """Starts its process."""
        await asyncio.sleep(self.start_seconds)
        problem = self.start_problems.get(connection.engine.name)
        if problem is not None:
            raise BrowserLost(f"{connection.engine.name} did not start: {problem}")
        await connection.open()


class FakeConnection:
    """A process that sleeps, and lanes that are tasks of this process."""

    def __init__(self, connection_id: str, engine: Engine, pages: PageServer, behaviour: Behaviour) -> None:
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
        self.lost_cause: str | None = None
        self.on_lost: Callable[[BrowserConnection], None] = lambda _connection: None
        self.on_lane_gone: Callable[[str, str], None] = lambda _lane_id, _cause: None
        self.on_late_result: Callable[[], None] = lambda: None
        self._pages = pages
        self._behaviour = behaviour
        self._numbers = itertools.count(1)
        self._workers: dict[str, tuple[FakeWorker, asyncio.Task[None]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def main_process(self) -> psutil.Process:
        """The process that sleeps."""
        if self._process is None:
            raise BrowserLost("the browser has no main process")
        return psutil.Process(self._process.pid)

    @property
    def process_id(self) -> int:
        """Of that process."""
        return self._process.pid if self._process is not None else 0

    @property
    def scales(self) -> Scales:
        """Of that process."""
        return Scales(self.main_process)

    async def lanes_ended(self) -> None:
        """Its lanes end at once."""

    def become(self, state: ConnectionState) -> None:
        """Goes on in its life."""
        self.state = follow(self.state, state)

    def begin_epoch(self) -> None:
        """A new lease begins."""
        self.epoch += 1
        self.lease_count += 1
        for lane in self.lanes.values():
            lane.begin_epoch(self.epoch)

    def check_alive(self) -> None:
        """Nothing to do: the end of the process is always told."""

    def view(self) -> ConnectionView:
        """What placement needs to know."""
        lanes = tuple(
            LaneView(
                each.lane_id,
                each.platform,
                each.width,
                frozenset(each.model_names),
                each.model_bytes,
                pinned=bool(each.tensor_names),
                shapes=frozenset(each.shapes),
            )
            for each in self.lanes.values()
        )
        return ConnectionView(
            self.connection_id, self.engine.name, self.state, lanes, self.last_used, memory_mb=self.memory_mb
        )

    def lose(self, cause: str) -> None:
        """Gives the browser up."""
        if self.lost_cause is not None or self._closing:
            return
        self.lost_cause = cause
        self._lose_lanes(cause)
        self.on_lost(self)

    def _lose_lanes(self, cause: str) -> None:
        for lane in list(self.lanes.values()):
            lane.lose(cause)

    def retire(self, cause: str) -> None:
        """Lets go of the lanes; it cannot be lost any more."""
        self._closing = True
        self._lose_lanes(self.lost_cause or cause)

    async def lose_device(self) -> None:
        """Loses the GPU device of every lane."""
        for worker, _ in self._workers.values():
            await worker.lose_device()

    async def open(self) -> None:
        """Starts the process."""
        self._process = await asyncio.create_subprocess_exec("sleep", _PROCESS_SECONDS, start_new_session=True)
        self._watch = asyncio.create_task(self._watch_process(self._process))
        self.version = "1.0 (fake)"
        self.idle_memory_mb = await self.weigh()

    async def _watch_process(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self.lose("the browser ended")

    async def weigh(self) -> float:
        """Of the process, and what its lanes would hold."""
        held = sum(worker.held_bytes for worker, _ in self._workers.values())
        self.memory_mb = (self.scales.weigh() + held) / 1e6
        return self.memory_mb

    async def open_lane(self, *, platform: str, width: int) -> Lane:
        """Starts a worker."""
        if self.lost_cause is not None or self._process is None:
            raise BrowserLost(self.lost_cause or "the browser is not open")
        lane = Lane(lane_id=f"{self.connection_id}-{next(self._numbers)}", platform=platform, width=width)
        lane.epoch = self.epoch
        lane.on_lost = partial(self._on_lane_lost, lane)
        lane.on_late_result = self.on_late_result
        self._pages.expect_lane(lane)
        self.lanes[lane.lane_id] = lane
        missing = platform in self._behaviour.missing.get(self.engine.name, ())
        worker = FakeWorker(
            self._pages.page_url.replace("index.html", f"lanes/{lane.lane_id}"),
            platform,
            self._behaviour,
            problem=f"this browser has no {platform}" if missing else "",
        )
        self._workers[lane.lane_id] = worker, asyncio.create_task(worker.serve())
        try:
            await lane.ready(timeout=_LANE_READY_SECONDS)
        except BaseException:
            await asyncio.shield(self.close_lane(lane.lane_id))
            raise
        return lane

    def _on_lane_lost(self, lane: Lane) -> None:
        self._pages.forget_lane(lane.lane_id)
        self.lanes.pop(lane.lane_id, None)
        self._workers.pop(lane.lane_id)[1].cancel()
        self.on_lane_gone(lane.lane_id, lane.lost_cause)

    async def close_lane(self, lane_id: str, *, cause: str = "the lane was closed") -> None:
        """Ends a worker."""
        if lane_id in self.lanes:
            self.lanes[lane_id].lose(cause)

    async def close(self) -> None:
        """Ends everything."""
        self.retire("the browser was closed")
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._watch is not None:
            await asyncio.shield(self._watch)
