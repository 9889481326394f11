"""Who may use which of the live browsers, and for how long."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from corun.errors import BrowserLost, CorunError, InvalidField, LeaseEnded, PoolFull, QueueDeadline
from corun.resource_pool.change_feed import ChangeFeed
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.lease import LeaseTerm
from corun.resource_pool.core.placement import ConnectionNeed, Seat
from corun.resource_pool.core.queueing import Decisions, Request, assign, expected_wait_seconds
from corun.resource_pool.fleet import Fleet

_RECENT_LEASES = 20
_SHORTEST_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How long callers wait, and how long what they get is theirs.

    Attributes:
        queue_timeout_seconds: How long a caller waits for a browser.
        max_queued_count: Most callers that wait.
        lease_ttl_seconds: How long a lease lasts without a sign of its holder.
    """

    queue_timeout_seconds: float
    max_queued_count: int
    lease_ttl_seconds: float


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
    patience_seconds: float
    future: asyncio.Future[Lease] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Pool:
    """Leases the browsers of a fleet, each to one caller at a time. Who gets which is decided by `core.queueing`."""

    def __init__(self, *, fleet: Fleet, limits: QueueLimits, feed: ChangeFeed) -> None:
        self.fleet = fleet
        self.limits = limits
        self.feed = feed
        self._queue: dict[int, _Waiting] = {}
        self._leases: dict[str, Lease] = {}
        self._numbers = itertools.count(1)
        self._lease_seconds: deque[float] = deque(maxlen=_RECENT_LEASES)
        self._alarm: asyncio.TimerHandle | None = None
        self._closing = False
        fleet.on_change = self.reconsider

    def __repr__(self) -> str:
        return f"<Pool {len(self._leases)} leases, {len(self._queue)} waiting>"

    @property
    def leases(self) -> list[Lease]:
        """A snapshot of the leases that are held."""
        return list(self._leases.values())

    @property
    def queued_count(self) -> int:
        """Callers that wait."""
        return len(self._queue)

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
        patience_seconds: float | None = None,
    ) -> AsyncIterator[Lease]:
        """Grants all these browsers at once for as long as the context is open, starting those that are missing.

        Args:
            needs: The browsers.
            purpose: In words, for whoever watches.
            exclusive: They hold what is needed and nothing else, so that their memory is the caller's.
            model_sizes: Bytes of each model's file: what is large is not loaded twice if that can be avoided.
            deadline: Of the caller, a monotonic time.
            patience_seconds: How long to wait in the queue, where that is not the pool's usual limit.

        Raises:
            PoolFull: none became free in time, or so many wait that it would be in vain.
            QueueDeadline: the caller's deadline passed.
            LeaseEnded: the caller did nothing for too long.
            PlatformUnavailable: an engine is not installed.
            BrowserLost, StepTimedOut: a browser did not start, or is gone.
        """
        self._check_count(needs)
        now = time.monotonic()
        patience = self.limits.queue_timeout_seconds if patience_seconds is None else patience_seconds
        request = Request(next(self._numbers), needs, exclusive, min(deadline, now + patience), model_sizes or {})
        lease = await self._granted(_Waiting(request, purpose, now, patience))
        try:
            yield lease
        except BrowserLost as error:
            if lease.term.ended:
                raise LeaseEnded(lease.term.lease_id, lease.term.ended) from error
            raise
        finally:
            await self._given_back(lease)

    def _check_count(self, needs: tuple[ConnectionNeed, ...]) -> None:
        if len(needs) > self.fleet.max_connections:
            engines = ", ".join(need.engine for need in needs)
            raise InvalidField(
                "browser_preferences",
                f"{len(needs)} browsers at once are wanted ({engines}); the pool may have "
                f"{self.fleet.max_connections}: raise max_connections or prefer fewer",
            )

    async def _granted(self, waiting: _Waiting) -> Lease:
        if self._closing:
            raise BrowserLost("the pool is closing")
        number = waiting.request.number
        self._queue[number] = waiting
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
            if self._queue.pop(number, None) is not None:
                self._settle()

    def _refuse_in_vain(self, waiting: _Waiting) -> None:
        """Refuses at once who would wait in vain: a short queue serves those in it, a long one nobody."""
        if waiting.future.done() or self.fleet.may_offer_more:
            return
        before = len(self._queue) - 1
        expected = self._expected_wait_seconds(before)
        if before >= self.limits.max_queued_count or expected > waiting.patience_seconds:
            raise self._full(0.0)

    def _expected_wait_seconds(self, waiting_count: int) -> float:
        return expected_wait_seconds(
            waiting_count=waiting_count,
            place_count=self.fleet.max_connections,
            recent_seconds=tuple(self._lease_seconds),
        )

    def _full(self, waited_seconds: float) -> PoolFull:
        expected = self._expected_wait_seconds(len(self._queue))
        return PoolFull(
            max_connections=self.fleet.max_connections,
            waited_seconds=waited_seconds,
            retry_after_seconds=max(_SHORTEST_RETRY_SECONDS, min(expected, self.limits.queue_timeout_seconds)),
            pinned_count=sum(connection.view().pinned for connection in self.fleet.connections),
        )

    def _settle(self) -> None:
        """Decides what can be decided now, does it, and sets the alarm for the next deadline."""
        if self._closing:
            return
        self.fleet.check_alive()
        self._end_expired_leases()
        decisions = assign(
            [waiting.request for waiting in self._queue.values()],
            [connection.view() for connection in self.fleet.connections],
            now=time.monotonic(),
            max_connections=self.fleet.max_connections,
        )
        self._apply(decisions)
        self._set_alarm()

    def _apply(self, decisions: Decisions) -> None:
        for number in decisions.expired:
            waiting = self._queue[number]
            waited = time.monotonic() - waiting.since
            own = waiting.since + waiting.patience_seconds <= waiting.request.deadline
            self._answer(number, self._full(waited) if own else QueueDeadline(waited))
        for number in decisions.gone:
            self._answer(number, BrowserLost("the connection that was asked for, or its lane, is no more"))
        for grant in decisions.grants:
            self._answer(grant.request, self._grant(self._queue[grant.request], grant.seats))
        for opening in decisions.openings:
            failed = partial(self._answer, opening.request)
            self.fleet.open(opening.engine, failed=failed, replaces=opening.replaces)

    def _answer(self, number: int, answer: Lease | CorunError) -> None:
        waiting = self._queue.pop(number, None)
        if waiting is None:
            return  # gone since
        if waiting.future.done():  # cancelled in this very moment
            if isinstance(answer, Lease):
                self.fleet.spawn(self._release(answer))
        elif isinstance(answer, Lease):
            waiting.future.set_result(answer)
        else:
            waiting.future.set_exception(answer)

    def _grant(self, waiting: _Waiting, seats: tuple[Seat, ...]) -> Lease:
        now = time.monotonic()
        connections = tuple(self.fleet.connection(seat.connection_id) for seat in seats)
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
                    self.fleet.replace(connection, f"{lease.term.lease_id} ended: {lease.term.ended}")

    async def _given_back(self, lease: Lease) -> None:
        """Waits until the lease is released, which goes on if the caller cannot wait so long."""
        await asyncio.shield(self.fleet.spawn(self._release(lease)))

    async def _release(self, lease: Lease) -> None:
        self._lease_seconds.append(time.monotonic() - lease.term.granted_at)
        await asyncio.gather(*(self.fleet.take_back(connection) for connection in lease.connections))
        del self._leases[lease.term.lease_id]
        self.feed.note(f"{lease.term.lease_id} was given back")
        self.fleet.keep_to_budget()
        self._settle()

    async def close(self) -> None:
        """Refuses whoever waits and ends every browser. Idempotent."""
        self._closing = True
        self.fleet.stop_opening()
        if self._alarm is not None:
            self._alarm.cancel()
        for number in list(self._queue):
            self._answer(number, BrowserLost("the pool is closing"))
        await self.fleet.close()
