"""Live browsers, and who may use which."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from corun.errors import BrowserLost, CorunError, InvalidField, LeaseEnded, PlatformUnavailable, PoolFull, QueueDeadline
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.change_feed import ChangeFeed
from corun.resource_pool.contract import BrowserConnection, BrowserStarter
from corun.resource_pool.core.connection_state import ALIVE, ConnectionState
from corun.resource_pool.core.lease import LeaseTerm
from corun.resource_pool.core.placement import ConnectionNeed, Seat
from corun.resource_pool.core.platform_health import PlatformHealth
from corun.resource_pool.core.queueing import Decisions, Opening, Request, assign, expected_wait_seconds
from corun.resource_pool.core.shared_tensors import SharedTensors
from corun.resource_pool.core.upkeep import RecyclingRule, evictions

_log = structlog.get_logger(__name__)

_RECENT_LEASES = 20
_SHORTEST_RETRY_SECONDS = 0.05
_FOR_NOBODY = 0
_ONE_LOSS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much the pool may take, and how long things may last.

    Attributes:
        max_connections: Most browsers at once.
        queue_timeout_seconds: How long a caller waits for one.
        max_queued_count: Most callers that wait.
        lease_ttl_seconds: How long a lease lasts without a sign of its holder.
        memory_budget_mb: Idle browsers are given up when all together are larger.
        recycling: When a browser has served long enough.
    """

    max_connections: int
    queue_timeout_seconds: float
    max_queued_count: int
    lease_ttl_seconds: float
    memory_budget_mb: float
    recycling: RecyclingRule


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to some browsers. `connections` and `seats` are in the order of what was asked for."""

    term: LeaseTerm
    connections: tuple[BrowserConnection, ...]
    queue_time_ms: float

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Which lanes were chosen in each browser."""
        return self.term.seats

    def renew(self, step_seconds: float) -> None:
        """Says that the holder gets on with its work: a step that may take so long.

        Raises:
            LeaseEnded: it was too late.
        """
        if not self.term.renew(time.monotonic(), step_seconds=step_seconds):
            raise LeaseEnded(self.term.lease_id, self.term.ended or "its time to live was over")


@dataclass(slots=True)
class _Waiting:
    request: Request
    purpose: str
    since: float
    future: asyncio.Future[Lease]


class Pool:
    """At most `max_connections` browsers, each leased to one caller at a time.

    What happens is decided by `core.queueing`; here it is done. A browser that is lost is replaced at once.
    """

    def __init__(
        self,
        *,
        starter: BrowserStarter,
        limits: PoolLimits,
        health: PlatformHealth,
        tensors: SharedTensors,
        feed: ChangeFeed,
    ) -> None:
        self.limits = limits
        self.health = health
        self.tensors = tensors
        self.feed = feed
        self.lost_count = 0
        self.recycled_count = 0
        self.late_result_count = 0
        self._starter = starter
        self._connections: dict[str, BrowserConnection] = {}
        self._queue: dict[int, _Waiting] = {}
        self._leases: dict[str, Lease] = {}
        self._numbers = itertools.count(1)
        self._lease_seconds: deque[float] = deque(maxlen=_RECENT_LEASES)
        self._last_losses: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Kinds of browser that can be had here, in the order in which they are tried."""
        return self._starter.engines

    @property
    def connections(self) -> list[BrowserConnection]:
        """A snapshot of the browsers that are alive."""
        return list(self._connections.values())

    @property
    def leases(self) -> list[Lease]:
        """A snapshot of the leases that are held."""
        return list(self._leases.values())

    @property
    def queued_count(self) -> int:
        """Callers that wait."""
        return len(self._queue)

    def connection(self, connection_id: str) -> BrowserConnection:
        """The browser of this id.

        Raises:
            BrowserLost: it is no more.
        """
        found = self._connections.get(connection_id)
        if found is None:
            raise BrowserLost(f"connection {connection_id} is no more")
        return found

    def reconsider(self) -> None:
        """Something that placement depends on has changed: looks again at who may have what."""
        self._settle()

    @asynccontextmanager
    async def lease(
        self,
        needs: tuple[ConnectionNeed, ...],
        *,
        purpose: str,
        exclusive: bool,
        model_sizes: Mapping[str, int] | None = None,
        deadline: float = float("inf"),
    ) -> AsyncIterator[Lease]:
        """Grants all these browsers at once for as long as the context is open, starting those that are missing.

        Args:
            needs: The browsers.
            purpose: In words, for whoever watches.
            exclusive: They hold what is needed and nothing else, so that their memory is the caller's.
            model_sizes: Bytes of each model's file: what is large is not loaded twice if that can be avoided.
            deadline: Of the caller, a monotonic time.

        Raises:
            PoolFull: none became free in time, or so many wait that it would be in vain.
            QueueDeadline: the caller's deadline passed.
            LeaseEnded: the caller did nothing for too long.
            PlatformUnavailable: an engine is not installed.
            BrowserLost, StepTimedOut: a browser did not start, or is gone.
        """
        lease = await self._granted(needs, purpose, exclusive=exclusive, sizes=model_sizes or {}, deadline=deadline)
        try:
            yield lease
        except BrowserLost as error:
            if lease.term.ended:
                raise LeaseEnded(lease.term.lease_id, lease.term.ended) from error
            raise
        finally:
            await self._given_back(lease)

    async def _granted(
        self,
        needs: tuple[ConnectionNeed, ...],
        purpose: str,
        *,
        exclusive: bool,
        sizes: Mapping[str, int],
        deadline: float,
    ) -> Lease:
        if len(needs) > self.limits.max_connections:
            engines = ", ".join(need.engine for need in needs)
            raise InvalidField(
                "browser_preferences",
                f"{len(needs)} browsers at once are wanted ({engines}); the pool may have "
                f"{self.limits.max_connections}: raise max_connections or prefer fewer",
            )
        if self._closing:
            raise BrowserLost("the pool is closing")
        now = time.monotonic()
        limit = min(deadline, now + self.limits.queue_timeout_seconds)
        request = Request(next(self._numbers), needs, exclusive, limit, sizes)
        waiting = _Waiting(request, purpose, now, asyncio.get_running_loop().create_future())
        self._queue[request.number] = waiting
        try:
            self._settle()
            self._refuse_in_vain(waiting)
            return await waiting.future
        except asyncio.CancelledError:
            future = waiting.future
            if future.done() and not future.cancelled() and future.exception() is None:
                await self._given_back(future.result())  # granted in the moment of cancellation
            raise
        finally:
            if self._queue.pop(request.number, None) is not None:
                self._settle()

    def _refuse_in_vain(self, waiting: _Waiting) -> None:
        """Refuses at once who would wait in vain: a short queue serves those in it, a long one nobody."""
        if waiting.future.done() or self._may_still_open():
            return
        before = len(self._queue) - 1
        expected = self._expected_wait_seconds(before)
        if before >= self.limits.max_queued_count or expected > self.limits.queue_timeout_seconds:
            raise self._full(0.0)

    def _may_still_open(self) -> bool:
        alive = [connection for connection in self.connections if connection.state in ALIVE]
        starting = any(connection.state is ConnectionState.STARTING for connection in alive)
        return starting or len(alive) < self.limits.max_connections

    def _expected_wait_seconds(self, waiting_count: int) -> float:
        return expected_wait_seconds(
            waiting_count=waiting_count,
            place_count=self.limits.max_connections,
            recent_seconds=tuple(self._lease_seconds),
        )

    def _full(self, waited_seconds: float) -> PoolFull:
        expected = self._expected_wait_seconds(len(self._queue))
        return PoolFull(
            max_connections=self.limits.max_connections,
            waited_seconds=waited_seconds,
            retry_after_seconds=max(_SHORTEST_RETRY_SECONDS, min(expected, self.limits.queue_timeout_seconds)),
            pinned_count=sum(connection.view().pinned for connection in self.connections),
        )

    def _settle(self) -> None:
        """Decides what can be decided now, does it, and sets the alarm for the next deadline."""
        if self._closing:
            return
        for connection in self.connections:
            connection.check_alive()
        self._end_expired_leases()
        decisions = assign(
            [waiting.request for waiting in self._queue.values()],
            [connection.view() for connection in self.connections],
            now=time.monotonic(),
            max_connections=self.limits.max_connections,
        )
        self._apply(decisions)
        self._set_alarm()

    def _apply(self, decisions: Decisions) -> None:
        for number in decisions.expired:
            waiting = self._queue[number]
            waited = time.monotonic() - waiting.since
            own = waiting.since + self.limits.queue_timeout_seconds <= waiting.request.deadline
            self._answer(number, self._full(waited) if own else QueueDeadline(waited))
        for number in decisions.gone:
            self._answer(number, BrowserLost("the connection that was asked for, or its lane, is no more"))
        for grant in decisions.grants:
            self._answer(grant.request, self._grant(self._queue[grant.request], grant.seats))
        for opening in decisions.openings:
            self._open(opening)

    def _answer(self, number: int, answer: Lease | CorunError) -> None:
        waiting = self._queue.pop(number)
        if waiting.future.done():  # cancelled in this very moment
            if isinstance(answer, Lease):
                self._spawn(self._release(answer))
        elif isinstance(answer, Lease):
            waiting.future.set_result(answer)
        else:
            waiting.future.set_exception(answer)

    def _grant(self, waiting: _Waiting, seats: tuple[Seat, ...]) -> Lease:
        now = time.monotonic()
        connections = tuple(self._connections[seat.connection_id] for seat in seats)
        for connection in connections:
            connection.become(ConnectionState.LEASED)
            connection.begin_epoch()
        term = LeaseTerm(
            lease_id=f"l{next(self._numbers)}",
            purpose=waiting.purpose,
            seats=seats,
            granted_at=now,
            ttl_seconds=self.limits.lease_ttl_seconds,
        )
        lease = self._leases[term.lease_id] = Lease(term, connections, (now - waiting.since) * 1000)
        names = ", ".join(connection.connection_id for connection in connections)
        self.feed.note(f"{term.lease_id} was granted {names} for {waiting.purpose}")
        return lease

    def _set_alarm(self) -> None:
        times = [waiting.request.deadline for waiting in self._queue.values()]
        times += [lease.term.expires_at for lease in self._leases.values() if not lease.term.ended]
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if times:
            delay = max(0.0, min(times) - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(delay, self._settle)

    def _end_expired_leases(self) -> None:
        now = time.monotonic()
        for lease in self.leases:
            if not lease.term.ended and lease.term.has_expired(now):
                lease.term.ended = f"its holder did nothing for {self.limits.lease_ttl_seconds:g} s"
                for connection in lease.connections:
                    # Whoever comes back after so long may still reach into the browser, so nobody else gets it.
                    self._replace(connection, f"{lease.term.lease_id} ended: {lease.term.ended}")

    def warm_up(self, engine: str) -> None:
        """Starts a browser that nobody has asked for yet, if there is room for one."""
        alive = sum(connection.state in ALIVE for connection in self.connections)
        if alive < self.limits.max_connections and not self._closing:
            self._open(Opening(engine, _FOR_NOBODY))

    def _open(self, opening: Opening) -> None:
        predecessor = self._connections.get(opening.replaces)
        ending = self._discard(predecessor, "its place was needed") if predecessor is not None else None
        connection = self._starter.connection(self.engines[opening.engine])
        connection.on_lost = self._on_lost
        connection.on_lane_gone = self.tensors.lose_lane
        connection.on_late_result = self._note_late_result
        self._connections[connection.connection_id] = connection
        self.feed.note(f"{connection.connection_id} is starting ({opening.engine})")
        self._spawn(self._start(connection, opening.request, ending))

    async def _start(self, connection: BrowserConnection, request: int, ending: asyncio.Task[None] | None) -> None:
        problem: CorunError | None = None
        try:
            if ending is not None:
                await asyncio.shield(ending)
            await self._starter.open(connection)
        except CorunError as error:
            problem = error
        given_up = connection.connection_id not in self._connections
        if problem is not None:
            self._note_failed_start(connection, request, problem)
        elif not given_up:
            connection.become(ConnectionState.READY)
            self.feed.note(f"{connection.connection_id} is ready")
        self._settle()
        if given_up:
            await connection.close()  # when it was closed before there may have been no process to end

    def _note_failed_start(self, connection: BrowserConnection, request: int, problem: CorunError) -> None:
        self._discard(connection, str(problem))
        if not isinstance(problem, PlatformUnavailable) and not self._closing:
            self.health.note_failure(connection.engine.name, str(problem))
        if request in self._queue:
            self._answer(request, problem)

    async def _given_back(self, lease: Lease) -> None:
        """Waits until the lease is released, which goes on if the caller cannot wait so long."""
        await asyncio.shield(self._spawn(self._release(lease)))

    async def _release(self, lease: Lease) -> None:
        self._lease_seconds.append(time.monotonic() - lease.term.granted_at)
        await asyncio.gather(*(self._take_back(connection) for connection in lease.connections))
        del self._leases[lease.term.lease_id]
        self.feed.note(f"{lease.term.lease_id} was given back")
        for connection_id in evictions(
            [connection.view() for connection in self.connections], budget_mb=self.limits.memory_budget_mb
        ):
            self._discard(self._connections[connection_id], "memory was needed")
        self._settle()

    async def _take_back(self, connection: BrowserConnection) -> None:
        connection.last_used = time.monotonic()
        for lane in [lane for lane in connection.lanes.values() if lane.spent]:
            await connection.close_lane(lane.lane_id, cause="its last run failed or was given up")
        await connection.lanes_ended()
        if connection.state is not ConnectionState.LEASED:
            return
        worn = self.limits.recycling.applies(run_count=connection.run_count, memory_mb=connection.memory_mb)
        if connection.suspect or (worn and not connection.view().pinned):
            connection.become(ConnectionState.DRAINING)
            self.recycled_count += 1
            self._replace(connection, "it was recycled" if worn else "it is suspect")
        else:
            connection.become(ConnectionState.READY)

    def _on_lost(self, connection: BrowserConnection) -> None:
        was_up = connection.state is not ConnectionState.STARTING
        cause = connection.lost_cause or ""
        self.lost_count += 1
        _log.warning("browser lost", connection=connection.connection_id, cause=cause)
        connection.become(ConnectionState.UNHEALTHY)
        self.feed.note(f"{connection.connection_id} is lost: {cause}")
        self._discard(connection, cause)
        if was_up and not self._closing:
            engine = connection.engine.name
            self._note_loss(engine, cause)
            if not self.health.problem(engine, ""):
                self.warm_up(engine)
            asyncio.get_running_loop().call_soon(self._settle)

    def _note_loss(self, engine: str, cause: str) -> None:
        """What takes several browsers at once, as the death of the driver does, is one failure."""
        now = time.monotonic()
        if now - self._last_losses.get(engine, float("-inf")) > _ONE_LOSS_SECONDS:
            self.health.note_failure(engine, cause)
        self._last_losses[engine] = now

    def _note_late_result(self) -> None:
        self.late_result_count += 1

    def _replace(self, connection: BrowserConnection, cause: str) -> None:
        """Closes a browser and starts another of its kind."""
        if self._discard(connection, cause) is not None:
            self.warm_up(connection.engine.name)

    def _discard(self, connection: BrowserConnection, cause: str) -> asyncio.Task[None] | None:
        """Gives the place to another browser at once; ending this one's processes may take its time."""
        if self._connections.pop(connection.connection_id, None) is None:
            return None
        connection.become(ConnectionState.CLOSED)
        connection.retire(cause)
        self.feed.note(f"{connection.connection_id} is closed: {cause}")
        return self._spawn(connection.close())

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Ends every browser. Idempotent."""
        self._closing = True
        if self._alarm is not None:
            self._alarm.cancel()
        for number in list(self._queue):
            self._answer(number, BrowserLost("the pool is closing"))
        for connection in self.connections:
            self._discard(connection, "the pool is closing")
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
