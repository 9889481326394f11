"""Browsers without processes: real connections and lanes whose every step takes some turns of the event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from corun.errors import BrowserLost
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.engines import ENGINES, Engine
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.starter import Starter
from corun.resource_pool.change_feed import ChangeFeed
from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.platform_health import PlatformHealth
from corun.resource_pool.core.shared_tensors import SharedTensors
from corun.resource_pool.core.upkeep import RecyclingRule
from corun.resource_pool.fleet import Fleet
from corun.resource_pool.pool import Pool, QueueLimits

STEP_TURNS = 3


async def turns(count: int) -> None:
    """Lets the event loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


class BrowserlessConnection(Connection):
    """A connection whose browser is two flags."""

    started = False
    ended = False

    def __init__(self, *, connection_id: str, engine: Engine, pool_id: str, pages: PageServer) -> None:
        super().__init__(connection_id=connection_id, engine=engine, pool_id=pool_id, pages=pages)
        self.page_calls: list[tuple[str, object]] = []
        self.page_crashed = False

    async def start(self) -> None:
        """Opens the browser, if nobody gave it up in the meantime."""
        await turns(STEP_TURNS)
        self.started = True
        await turns(STEP_TURNS)

    def add_lane(self, *, tensor: str = "") -> Lane:
        """A lane that is up, as far as the pool can tell."""
        lane = self._new_lane("wasm", 1)
        lane.tensor_names |= {tensor} if tensor else set()
        return lane

    async def _end_browser(self) -> None:
        await turns(STEP_TURNS)
        self.ended = self.started  # what does not run yet cannot be ended

    async def _call(self, script: str, argument: object) -> None:
        self.page_calls.append((script, argument))
        await turns(STEP_TURNS)
        if self.page_crashed:
            self.lose("the page crashed")
            raise BrowserLost("the page crashed")


class BrowserlessStarter(Starter):
    """Makes fake connections and remembers them all.

    Args:
        on_open: Called as each begins to start; what it raises stops the start.
    """

    def __init__(self, on_open: Callable[[BrowserlessConnection], None] = lambda _connection: None) -> None:
        self.engines = ENGINES
        self.made: list[BrowserlessConnection] = []
        self.on_open = on_open
        self._fake_numbers = itertools.count(1)

    def connection(self, engine: Engine) -> BrowserlessConnection:
        number = next(self._fake_numbers)
        made = BrowserlessConnection(connection_id=f"c{number}", engine=engine, pool_id="fake", pages=PageServer())
        self.made.append(made)
        return made

    async def open(self, connection: Connection) -> None:
        assert isinstance(connection, BrowserlessConnection)
        self.on_open(connection)
        await connection.start()

    def survivors(self) -> list[BrowserlessConnection]:
        """Those whose browser runs."""
        return [each for each in self.made if each.started and not each.ended]


def fake_pool(starter: BrowserlessStarter, *, max_connections: int = 2, **limits: float) -> Pool:
    """A pool of such browsers."""
    feed = ChangeFeed()
    fleet = Fleet(
        starter=starter,
        max_connections=max_connections,
        memory_budget_mb=limits.get("memory_budget_mb", 1e6),
        recycling=RecyclingRule(run_count=10_000, memory_mb=1e6),
        health=PlatformHealth(on_change=feed.note),
        tensors=SharedTensors(limit_bytes=1_000_000),
        feed=feed,
    )
    queueing = QueueLimits(
        queue_timeout_seconds=limits.get("queue_timeout_seconds", 5.0),
        max_queued_count=256,
        lease_ttl_seconds=limits.get("lease_ttl_seconds", 60.0),
    )
    return Pool(fleet=fleet, limits=queueing, feed=feed)


def need(engine: str = "chromium", *, connection_id: str = "") -> ConnectionNeed:
    """A browser without any lane."""
    return ConnectionNeed(engine, "wasm", (), connection_id=connection_id)


def states(pool: Pool) -> set[ConnectionState]:
    """Of its browsers."""
    return {each.state for each in pool.fleet.connections}


async def settled(pool: Pool, starter: BrowserlessStarter) -> None:
    """Waits until nothing is under way, and makes sure that the books agree with the browsers."""
    async with asyncio.timeout(2):
        while pool.queued_count or pool.leases or ConnectionState.STARTING in states(pool):
            await turns(1)
        await turns(50)
    assert pool.leases == []
    assert pool.queued_count == 0
    assert states(pool) <= {ConnectionState.READY}
    assert len(pool.fleet.connections) <= pool.fleet.max_connections
    assert {each.connection_id for each in starter.survivors()} == {
        each.connection_id for each in pool.fleet.connections
    }
