"""Who gets which browsers next: a pure choice over the queue and a snapshot of the pool.

First come, first served, with two exceptions: a request whose browsers are busy does not hold up one that needs
others, and the oldest that waits keeps the free browsers it has found, so that a request for several is not
overtaken for ever.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from corun.resource_pool.core.connection_state import ALIVE, ConnectionState
from corun.resource_pool.core.placement import (
    ConnectionNeed,
    ConnectionView,
    Seat,
    SeatRules,
    find_seat,
    least_recently_used,
)


@dataclass(frozen=True, slots=True)
class Request:
    """A caller that waits for browsers, all of them at once. `deadline` is a monotonic time."""

    number: int
    needs: tuple[ConnectionNeed, ...]
    exclusive: bool
    deadline: float
    model_sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """A request gets these browsers, in the order of its needs."""

    request: int
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """Start a browser on behalf of a request, in the place of `replaces` if that is given."""

    engine: str
    request: int
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What to do now. `expired` are past their deadline; `gone` want a browser, or a lane of it, that is no more."""

    grants: tuple[Grant, ...] = ()
    openings: tuple[Opening, ...] = ()
    expired: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()


def assign(
    queue: Sequence[Request], connections: Sequence[ConnectionView], *, now: float, max_connections: int
) -> Decisions:
    """Serves the queue in order of arrival as far as the browsers go.

    A request past its deadline is never granted, whatever is free.
    """
    round_ = _Round(connections, max_connections)
    for request in queue:
        if request.deadline <= now:
            round_.expired.append(request.number)
        else:
            round_.serve(request)
    return Decisions(tuple(round_.grants), tuple(round_.openings), tuple(round_.expired), tuple(round_.gone))


class _Round:
    """The working copy of the pool while one round of decisions is made."""

    def __init__(self, connections: Sequence[ConnectionView], max_connections: int) -> None:
        states = ConnectionState
        self._free = {each.connection_id: each for each in connections if each.state is states.READY}
        self._known = {each.connection_id: each for each in connections if each.state in ALIVE}
        self._coming = Counter(each.engine for each in connections if each.state is states.STARTING)
        self._room = max_connections - len(self._known)
        self._somebody_waits = False
        self._waiting: defaultdict[tuple[tuple[ConnectionNeed, ...], bool], deque[int]] = defaultdict(deque)
        self.grants: list[Grant] = []
        self.openings: list[Opening] = []
        self.expired: list[int] = []
        self.gone: list[int] = []

    def serve(self, request: Request) -> None:
        if any(map(self._is_gone, request.needs)):
            self.gone.append(request.number)
            return
        seats, missing = self._look(request)
        if not missing:
            for seat in seats:
                del self._free[seat.connection_id]
            self.grants.append(Grant(self._oldest_like(request), tuple(seats)))
            return
        self._waiting[request.needs, request.exclusive].append(request.number)
        held = {seat.connection_id: self._free.pop(seat.connection_id) for seat in seats}
        for need in missing:
            self._provide(need, request.number)
        if self._somebody_waits:
            self._free |= held
        self._somebody_waits = True

    def _oldest_like(self, request: Request) -> int:
        """Who is to have what was found for this request: the oldest that asks for the same. It may be waiting for a
        new browser, for which this request waits in its stead."""
        alike = self._waiting[request.needs, request.exclusive]
        if not alike:
            return request.number
        alike.append(request.number)
        oldest = alike.popleft()
        self.openings = [
            replace(opening, request=request.number) if opening.request == oldest else opening
            for opening in self.openings
        ]
        return oldest

    def _is_gone(self, need: ConnectionNeed) -> bool:
        if not need.connection_id:
            return False
        connection = self._known.get(need.connection_id)
        return connection is None or need.is_gone_from(connection)

    def _look(self, request: Request) -> tuple[list[Seat], list[ConnectionNeed]]:
        seats: list[Seat] = []
        missing: list[ConnectionNeed] = []
        rules = SeatRules(request.exclusive, request.model_sizes, may_open=self._room > 0)
        for need in request.needs:
            taken = {seat.connection_id for seat in seats}
            ready = [each for each in self._free.values() if each.connection_id not in taken]
            seat = find_seat(need, ready, rules)
            if seat is None:
                missing.append(need)
            else:
                seats.append(seat)
        return seats, missing

    def _provide(self, need: ConnectionNeed, request: int) -> None:
        if need.connection_id:
            return
        if self._coming[need.engine] > 0:
            self._coming[need.engine] -= 1
        elif self._room > 0:
            self._room -= 1
            self.openings.append(Opening(need.engine, request))
        else:
            victim = least_recently_used(list(self._free.values()))
            if victim is not None:
                del self._free[victim.connection_id]
                self.openings.append(Opening(need.engine, request, replaces=victim.connection_id))


def expected_wait_seconds(*, waiting_count: int, place_count: int, recent_seconds: Sequence[float]) -> float:
    """How long one more request will wait: those before it and itself, served in turns of the recent median.

    0 while nothing is known.
    """
    if not recent_seconds:
        return 0.0
    return (waiting_count + 1) / max(1, place_count) * median(recent_seconds)
