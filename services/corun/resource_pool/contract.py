"""What the pool asks of a browser and of whoever starts it.

`browser.connection` and `browser.starter` do it with real ones; every engine passes the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import psutil

from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.scales import Scales
from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionView


class BrowserConnection(Protocol):
    """One live browser and the lanes in it.

    Whoever holds the lease may open and close lanes; nobody else touches them. When the browser is lost, every lane
    fails at once with BrowserLost and `on_lost` is called, once.

    Attributes:
        state: Where it is in its life.
        version: As the browser reports it.
        idle_memory_mb: Size when it was up, without lanes.
        memory_mb: Size when it was last weighed.
        lease_count: Leases so far.
        epoch: Number of the newest lease; results of older ones are thrown away.
        failed_epoch: Number of the newest lease in which its GPU device was lost.
        run_count: Runs carried out.
        suspect: True when something in it does not work any more; it is not given to anybody else then.
        last_used: A monotonic time.
        lanes: By their ids.
        lost_cause: Why it is gone; None while it is there.
        on_lost: Told when it is lost.
        on_lane_gone: Told the id of a lane that is no more, and why.
        on_late_result: Told when an answer came that nobody is entitled to any more.
    """

    connection_id: str
    engine: Engine
    state: ConnectionState
    version: str
    idle_memory_mb: float
    memory_mb: float
    lease_count: int
    epoch: int
    failed_epoch: int
    run_count: int
    suspect: bool
    last_used: float
    lanes: dict[str, Lane]
    lost_cause: str | None
    on_lost: Callable[[BrowserConnection], None]
    on_lane_gone: Callable[[str, str], None]
    on_late_result: Callable[[], None]

    @property
    def main_process(self) -> psutil.Process:
        """The browser's main process. Raises BrowserLost while there is none."""

    @property
    def process_id(self) -> int:
        """Of the main process; 0 while there is none."""

    @property
    def scales(self) -> Scales:
        """What its processes are weighed with. Raises BrowserLost while there are none."""

    def become(self, state: ConnectionState) -> None:
        """Goes on in its life. Raises ValueError where that is no step of it."""

    def begin_epoch(self) -> None:
        """A new lease begins: what older ones still have under way counts for nothing."""

    async def lanes_ended(self) -> None:
        """Waits until its page has answered for the lanes that were lost. A browser that is gone is no error."""

    def check_alive(self) -> None:
        """Notices a browser whose end nobody told of."""

    def view(self) -> ConnectionView:
        """What placement needs to know."""

    def lose(self, cause: str) -> None:
        """Gives the browser up: everything that waits for it fails now. Only the first cause counts."""

    async def weigh(self) -> float:
        """Proportional set size of the browser's processes now, in megabytes."""

    async def open_lane(self, *, platform: str, width: int) -> Lane:
        """Starts a worker with its own runtime and waits until it is up.

        Raises:
            LaneFailed: the runtime cannot come up.
            BrowserLost, StepTimedOut
        """

    async def close_lane(self, lane_id: str, *, cause: str = "the lane was closed") -> None:
        """Ends a lane and gives its memory back. Idempotent; a browser that is gone is no error."""

    def retire(self, cause: str) -> None:
        """Lets go of the lanes of a browser that is to be closed; it cannot be lost any more. Idempotent."""

    async def close(self) -> None:
        """Closes the browser, kindly if it may still answer and by force in any case. Idempotent."""


class BrowserStarter(Protocol):
    """Makes connections.

    Attributes:
        engines: Those it can start, by name, in the order in which they are tried where nobody prefers one.
    """

    engines: Mapping[str, Engine]

    def connection(self, engine: Engine) -> BrowserConnection:
        """A connection that is yet to be opened."""

    async def open(self, connection: Any) -> None:
        """Starts the browser of a connection that this starter made.

        Raises:
            PlatformUnavailable: the engine is not installed.
            BrowserLost, StepTimedOut: it did not start.
        """
