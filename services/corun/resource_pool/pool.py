"""Live browsers, and who may use which."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog

from corun.errors import BrowserLost, PlatformUnavailable, PoolFull
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.core.placement import Placement, place
from corun.resource_pool.core.plan import LaneNeed

_log = structlog.get_logger(__name__)

State = Literal["starting", "ready", "leased", "closed"]


@dataclass(slots=True)
class Slot:
    """A place for a browser. starting -> ready <-> leased -> closed; a lost browser goes to closed from anywhere.

    `predecessor` is the end of the browser whose place it takes.
    """

    connection: Connection
    state: State
    predecessor: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to one browser, and how to prepare it."""

    connection: Connection
    placement: Placement
    queue_time_ms: float


class Pool:
    """At most `max_connections` browsers, each leased to one caller at a time.

    Args:
        engine: Kind of browser to start.
        driver: Starts it.
        pages: Serves the page to the browsers.
        pool_id: Marks the processes of this pool's browsers.
        max_connections: Most browsers at once.
        queue_timeout_seconds: How long a caller waits for one.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        driver: Driver,
        pages: PageServer,
        pool_id: str,
        max_connections: int,
        queue_timeout_seconds: float,
    ) -> None:
        self.engine = engine
        self.max_connections = max_connections
        self.lost_count = 0
        self.queued_count = 0
        self._driver = driver
        self._pages = pages
        self._pool_id = pool_id
        self._queue_timeout_seconds = queue_timeout_seconds
        self._slots: dict[str, Slot] = {}
        self._changed = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._cleanups: set[asyncio.Task[None]] = set()

    @property
    def slots(self) -> list[Slot]:
        """A snapshot of the browsers."""
        return list(self._slots.values())

    @asynccontextmanager
    async def lease(
        self,
        needs: tuple[LaneNeed, ...],
        *,
        platform: str,
        model_sizes: Mapping[str, int],
        exclusive: bool,
    ) -> AsyncIterator[Lease]:
        """Grants a browser for as long as the context is open, starting one if that is the best place.

        Raises:
            PoolFull: none became free in time.
            PlatformUnavailable: the engine is not installed.
            BrowserLost, StepTimedOut: it did not start.
        """
        begin = time.monotonic()
        slot, placement = await self._acquire(needs, platform=platform, model_sizes=model_sizes, exclusive=exclusive)
        try:
            if slot.state == "starting":
                await self._start(slot, platform=platform)
            slot.connection.lease_count += 1
            yield Lease(slot.connection, placement, (time.monotonic() - begin) * 1000)
        finally:
            await asyncio.shield(self._release(slot))

    @asynccontextmanager
    async def borrow(self, connection_id: str) -> AsyncIterator[Connection | None]:
        """Grants this very browser once its caller is done with it; None when it is gone by then.

        Raises:
            PoolFull: its caller kept it.
        """
        async with self._waiting(), self._changed:
            await self._changed.wait_for(
                lambda: connection_id not in self._slots or self._slots[connection_id].state == "ready"
            )
            slot = self._slots.get(connection_id)
            if slot is not None:
                slot.state = "leased"
        try:
            yield slot.connection if slot is not None else None
        finally:
            if slot is not None:
                await asyncio.shield(self._release(slot))

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        begin = time.monotonic()
        self.queued_count += 1
        try:
            async with asyncio.timeout(self._queue_timeout_seconds):
                yield
        except TimeoutError as error:
            raise PoolFull(
                max_connections=self.max_connections,
                waited_seconds=time.monotonic() - begin,
                retry_after_seconds=self._queue_timeout_seconds,
            ) from error
        finally:
            self.queued_count -= 1

    async def _acquire(
        self, needs: tuple[LaneNeed, ...], *, platform: str, model_sizes: Mapping[str, int], exclusive: bool
    ) -> tuple[Slot, Placement]:
        async with self._waiting(), self._changed:
            while True:
                for slot in self.slots:
                    slot.connection.check_alive()
                placement = place(
                    needs,
                    platform=platform,
                    connections=[slot.connection.view(ready=slot.state == "ready") for slot in self.slots],
                    model_sizes=model_sizes,
                    may_open=len(self._slots) < self.max_connections,
                    exclusive=exclusive,
                )
                if placement is not None:
                    return self._take(placement), placement
                await self._changed.wait()

    def _take(self, placement: Placement) -> Slot:
        if placement.connection_id is not None:
            slot = self._slots[placement.connection_id]
            slot.state = "leased"
            return slot
        predecessor = self._discard(self._slots[placement.replaces]) if placement.replaces is not None else None
        connection = Connection(
            connection_id=f"c{next(self._numbers)}", engine=self.engine, pool_id=self._pool_id, pages=self._pages
        )
        connection.on_lost = self._on_lost
        slot = self._slots[connection.connection_id] = Slot(connection, "starting", predecessor)
        return slot

    async def _start(self, slot: Slot, *, platform: str) -> None:
        executable = self.engine.executable()
        if executable is None:
            detail = f"the engine {self.engine.name} is not installed: {self.engine.how_to_get}"
            self._discard(slot)
            raise PlatformUnavailable(platform, [], detail)
        try:
            if slot.predecessor is not None:
                await asyncio.shield(slot.predecessor)
            await slot.connection.open(await self._driver.chromium(), executable)
        except BaseException:
            self._discard(slot)
            raise
        slot.state = "leased"

    async def _release(self, slot: Slot) -> None:
        if slot.state == "leased":
            slot.connection.last_used = time.monotonic()
            for lane in [lane for lane in slot.connection.lanes.values() if lane.spent]:
                try:
                    await slot.connection.close_lane(lane.lane_id)
                except BrowserLost:
                    break
            if slot.connection.lost_cause is None:
                slot.state = "ready"
        async with self._changed:
            self._changed.notify_all()

    def _on_lost(self, connection: Connection) -> None:
        self.lost_count += 1
        _log.warning("browser lost", connection=connection.connection_id, cause=connection.lost_cause)
        slot = self._slots.get(connection.connection_id)
        if slot is not None:
            self._discard(slot)

    def _discard(self, slot: Slot) -> asyncio.Task[None] | None:
        """Gives the place to another browser at once; ending this one's processes may take its time."""
        if slot.state == "closed":
            return None
        slot.state = "closed"
        self._slots.pop(slot.connection.connection_id, None)
        task = asyncio.get_running_loop().create_task(self._clean_up(slot.connection))
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)
        return task

    async def _clean_up(self, connection: Connection) -> None:
        await connection.close()
        async with self._changed:
            self._changed.notify_all()

    async def close(self) -> None:
        """Ends every browser. Idempotent."""
        for slot in self.slots:
            self._discard(slot)
        if self._cleanups:
            await asyncio.gather(*self._cleanups, return_exceptions=True)
