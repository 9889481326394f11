"""The live browsers: started, lost, replaced, recycled and ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

import structlog

from corun.errors import BrowserLost, CorunError, PlatformUnavailable
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.change_feed import ChangeFeed
from corun.resource_pool.contract import BrowserConnection, BrowserStarter
from corun.resource_pool.core.connection_state import ALIVE, ConnectionState
from corun.resource_pool.core.platform_health import PlatformHealth
from corun.resource_pool.core.shared_tensors import SharedTensors
from corun.resource_pool.core.upkeep import RecyclingRule, evictions

_log = structlog.get_logger(__name__)

_ONE_LOSS_SECONDS = 1.0
# Weighing a browser takes the kernel some 30 ms.
_WEIGHING_PAUSE_SECONDS = 10.0

Failed = Callable[[CorunError], None]


class Fleet:
    """At most `max_connections` browsers. One that is lost is replaced at once, unless its engine always fails.

    Attributes:
        health: Told of every failure.
        tensors: Told of every lane that is gone.
        lost_count: Browsers that ended by themselves or stopped answering.
        recycled_count: Browsers given up because they had served long enough or looked broken.
        late_result_count: Answers that came when nobody was entitled to them any more.
        on_change: Called when browsers have become free or fewer.
    """

    def __init__(
        self,
        *,
        starter: BrowserStarter,
        max_connections: int,
        memory_budget_mb: float,
        recycling: RecyclingRule,
        health: PlatformHealth,
        tensors: SharedTensors,
        feed: ChangeFeed,
    ) -> None:
        self.max_connections = max_connections
        self.health = health
        self.tensors = tensors
        self.lost_count = 0
        self.recycled_count = 0
        self.late_result_count = 0
        self.on_change: Callable[[], None] = lambda: None
        self._memory_budget_mb = memory_budget_mb
        self._recycling = recycling
        self._starter = starter
        self._feed = feed
        self._connections: dict[str, BrowserConnection] = {}
        self._last_losses: dict[str, float] = {}
        self._next_weighings: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def __repr__(self) -> str:
        return f"<Fleet {len(self._connections)} of {self.max_connections} browsers>"

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Kinds of browser that can be had here, in the order in which they are tried."""
        return self._starter.engines

    @property
    def connections(self) -> list[BrowserConnection]:
        """A snapshot of the browsers that are alive."""
        return list(self._connections.values())

    @property
    def may_offer_more(self) -> bool:
        """A browser is starting, or there is room for another."""
        starting = any(connection.state is ConnectionState.STARTING for connection in self.connections)
        return starting or self._has_room

    @property
    def _has_room(self) -> bool:
        return sum(connection.state in ALIVE for connection in self.connections) < self.max_connections

    def connection(self, connection_id: str) -> BrowserConnection:
        """The browser of this id.

        Raises:
            BrowserLost: it is no more.
        """
        found = self._connections.get(connection_id)
        if found is None:
            raise BrowserLost(f"connection {connection_id} is no more")
        return found

    def check_alive(self) -> None:
        """Notices browsers whose end nobody told of."""
        for connection in self.connections:
            connection.check_alive()

    def warm_up(self, engine: str) -> None:
        """Starts a browser that nobody has asked for yet, if there is room for one; again while that may help."""
        if self._has_room and not self._closing:
            self.open(engine, failed=partial(self._warm_up_again, engine))

    def _warm_up_again(self, engine: str, problem: CorunError) -> None:
        """It may have been unlucky, as when the driver died under it; an engine that always fails is left alone."""
        if not isinstance(problem, PlatformUnavailable) and not self.health.problem(engine, ""):
            self.warm_up(engine)

    def open(self, engine: str, *, failed: Failed, replaces: str = "") -> None:
        """Starts a browser, in the place of another one if that is given; tells `failed` if it does not start."""
        predecessor = self._connections.get(replaces)
        ending = self._discard(predecessor, "its place was needed") if predecessor is not None else None
        connection = self._starter.connection(self.engines[engine])
        connection.on_lost = self._on_lost
        connection.on_lane_gone = self.tensors.lose_lane
        connection.on_late_result = self._note_late_result
        self._connections[connection.connection_id] = connection
        self._feed.note(f"{connection.connection_id} is starting ({engine})")
        self.spawn(self._start(connection, failed, ending))

    async def _start(self, connection: BrowserConnection, failed: Failed, ending: asyncio.Task[None] | None) -> None:
        problem: CorunError | None = None
        try:
            if ending is not None:
                await asyncio.shield(ending)
            await self._starter.open(connection)
        except CorunError as error:
            problem = error
        given_up = connection.connection_id not in self._connections
        if problem is not None:
            self._note_failed_start(connection, problem)
            failed(problem)
        elif not given_up:
            connection.become(ConnectionState.READY)
            self._feed.note(f"{connection.connection_id} is ready")
        self.on_change()
        if given_up:
            await connection.close()  # when it was closed before there may have been no process to end

    def _note_failed_start(self, connection: BrowserConnection, problem: CorunError) -> None:
        self._discard(connection, str(problem))
        if not isinstance(problem, PlatformUnavailable) and not self._closing:
            self.health.note_failure(connection.engine.name, str(problem))

    async def take_back(self, connection: BrowserConnection) -> None:
        """Makes a browser that was leased ready for the next caller, or replaces it if it has served long enough."""
        connection.last_used = time.monotonic()
        for lane in [lane for lane in connection.lanes.values() if lane.spent]:
            await connection.close_lane(lane.lane_id, cause="its last run failed or was given up")
        await connection.lanes_ended()
        if connection.state is not ConnectionState.LEASED:
            return
        worn = self._recycling.applies(run_count=connection.run_count, memory_mb=connection.memory_mb)
        if connection.suspect or (worn and not connection.view().pinned):
            connection.become(ConnectionState.DRAINING)
            self.recycled_count += 1
            self.replace(connection, "it was recycled" if worn else "it is suspect")
        else:
            connection.become(ConnectionState.READY)
            self._weigh_now_and_then(connection)

    def _weigh_now_and_then(self, connection: BrowserConnection) -> None:
        if connection.last_used >= self._next_weighings.get(connection.connection_id, 0.0):
            self._next_weighings[connection.connection_id] = connection.last_used + _WEIGHING_PAUSE_SECONDS
            self.spawn(self._weigh(connection))

    async def _weigh(self, connection: BrowserConnection) -> None:
        """Its size decides about recycling it and about the budget, and plans and runs change it."""
        await connection.weigh()
        self.keep_to_budget()
        self.on_change()

    def keep_to_budget(self) -> None:
        """Ends idle browsers while all together are too large."""
        views = [connection.view() for connection in self.connections]
        for connection_id in evictions(views, budget_mb=self._memory_budget_mb):
            self._discard(self._connections[connection_id], "memory was needed")

    def replace(self, connection: BrowserConnection, cause: str) -> None:
        """Closes a browser and starts another of its kind."""
        if self._discard(connection, cause) is not None:
            self.warm_up(connection.engine.name)

    def _on_lost(self, connection: BrowserConnection) -> None:
        was_up = connection.state is not ConnectionState.STARTING
        cause = connection.lost_cause or ""
        self.lost_count += 1
        _log.warning("browser lost", connection=connection.connection_id, cause=cause)
        connection.become(ConnectionState.UNHEALTHY)
        self._feed.note(f"{connection.connection_id} is lost: {cause}")
        self._discard(connection, cause)
        if was_up and not self._closing:
            engine = connection.engine.name
            self._note_loss(engine, cause)
            if not self.health.problem(engine, ""):
                self.warm_up(engine)
            asyncio.get_running_loop().call_soon(self.on_change)

    def _note_loss(self, engine: str, cause: str) -> None:
        """What takes several browsers at once, as the death of the driver does, is one failure."""
        now = time.monotonic()
        if now - self._last_losses.get(engine, float("-inf")) > _ONE_LOSS_SECONDS:
            self.health.note_failure(engine, cause)
        self._last_losses[engine] = now

    def _note_late_result(self) -> None:
        self.late_result_count += 1

    def _discard(self, connection: BrowserConnection, cause: str) -> asyncio.Task[None] | None:
        """Gives the place to another browser at once; ending this one's processes may take its time."""
        if self._connections.pop(connection.connection_id, None) is None:
            return None
        self._next_weighings.pop(connection.connection_id, None)
        connection.become(ConnectionState.CLOSED)
        connection.retire(cause)
        self._feed.note(f"{connection.connection_id} is closed: {cause}")
        return self.spawn(connection.close())

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Work that goes on whoever waits for it; closing waits."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop_opening(self) -> None:
        """From now on nothing is started or replaced."""
        self._closing = True

    async def close(self) -> None:
        """Ends every browser and waits for all work that is under way. Idempotent."""
        self.stop_opening()
        for connection in self.connections:
            self._discard(connection, "the pool is closing")
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
