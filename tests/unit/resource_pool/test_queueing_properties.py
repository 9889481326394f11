"""What holds of every decision over the queue, whatever the pool looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corun.resource_pool.core.connection_state import ALIVE, ConnectionState
from corun.resource_pool.core.placement import ConnectionNeed, ConnectionView, LaneView, Seat
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.core.queueing import Decisions, Request, assign
from tests.unit.resource_pool.views import LEASED, READY, STARTING, browser, lane_need, need

NOW = 100.0
NAMES = ["a", "b", "c"]

engines = st.sampled_from(["chromium", "firefox"])
platforms = st.sampled_from(["wasm", "webgpu"])
widths = st.integers(1, 2)
models = st.frozensets(st.sampled_from(NAMES), max_size=2)
identifiers = st.sampled_from([""] * 6 + ["c0", "c1", "gone"])


@st.composite
def lanes(draw: st.DrawFn, connection_id: str) -> tuple[LaneView, ...]:
    return tuple(
        LaneView(
            f"{connection_id}-{number}",
            draw(platforms),
            draw(widths),
            draw(models),
            draw(st.sampled_from([0, 2_000_000_000])),
            pinned=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 3)))
    )


@st.composite
def pools(draw: st.DrawFn) -> list[ConnectionView]:
    return [
        ConnectionView(
            f"c{number}",
            draw(engines),
            draw(st.sampled_from([READY, READY, *ConnectionState])),
            draw(lanes(f"c{number}")),
            draw(st.floats(0, NOW)),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@st.composite
def needs(draw: st.DrawFn) -> ConnectionNeed:
    connection_id = draw(identifiers)
    lane_id = f"{connection_id}-0" if connection_id and draw(st.booleans()) else ""
    wanted = [LaneNeed(draw(widths), draw(models), lane_id)] if lane_id else []
    wanted += [LaneNeed(draw(widths), draw(models)) for _ in range(draw(st.integers(0, 2)))]
    return ConnectionNeed(draw(engines), draw(platforms), tuple(wanted), connection_id)


@st.composite
def queues(draw: st.DrawFn) -> list[Request]:
    several = st.lists(needs(), min_size=1, max_size=2).map(tuple)
    kinds = draw(st.lists(st.tuples(several, st.booleans()), min_size=1, max_size=2))
    return [
        Request(number, *draw(st.sampled_from(kinds)), deadline=draw(st.sampled_from([NOW - 1, NOW, NOW + 1, NOW + 9])))
        for number in range(draw(st.integers(0, 6)))
    ]


def decide(queue: list[Request], pool: list[ConnectionView], room: int) -> Decisions:
    return assign(queue, pool, now=NOW, max_connections=alive_count(pool) + room)


def alive_count(pool: Sequence[ConnectionView]) -> int:
    return sum(connection.state in ALIVE for connection in pool)


rooms = st.integers(-1, 3)


@given(queues(), pools(), rooms)
def test_there_are_never_more_browsers_alive_than_allowed(
    queue: list[Request], pool: list[ConnectionView], room: int
) -> None:
    decisions = decide(queue, pool, room)
    in_place = sum(bool(opening.replaces) for opening in decisions.openings)
    assert len(decisions.openings) - in_place <= max(0, room)


@given(queues(), pools(), rooms)
def test_a_request_is_answered_once_and_never_granted_past_its_deadline(
    queue: list[Request], pool: list[ConnectionView], room: int
) -> None:
    decisions = decide(queue, pool, room)
    granted = [grant.request for grant in decisions.grants]
    answered = [*granted, *decisions.expired, *decisions.gone]
    assert len(set(answered)) == len(answered)
    assert set(decisions.expired) == {request.number for request in queue if request.deadline <= NOW}
    assert not {opening.request for opening in decisions.openings} & set(answered)


@given(queues(), pools(), rooms)
def test_no_browser_is_given_twice_or_given_and_replaced(
    queue: list[Request], pool: list[ConnectionView], room: int
) -> None:
    decisions = decide(queue, pool, room)
    used = [seat.connection_id for grant in decisions.grants for seat in grant.seats]
    used += [opening.replaces for opening in decisions.openings if opening.replaces]
    assert len(set(used)) == len(used)
    states = {connection.connection_id: connection.state for connection in pool}
    assert {states[connection_id] for connection_id in used} <= {READY}


@given(queues(), pools(), rooms)
def test_every_grant_fulfils_all_that_was_asked_for(
    queue: list[Request], pool: list[ConnectionView], room: int
) -> None:
    requests = {request.number: request for request in queue}
    connections = {connection.connection_id: connection for connection in pool}
    for grant in decide(queue, pool, room).grants:
        request = requests[grant.request]
        for wanted, seat in zip(request.needs, grant.seats, strict=True):
            check_seat(wanted, seat, connections[seat.connection_id], exclusive=request.exclusive)


def check_seat(wanted: ConnectionNeed, seat: Seat, connection: ConnectionView, *, exclusive: bool) -> None:
    if wanted.connection_id:
        assert connection.connection_id == wanted.connection_id
    else:
        assert connection.engine == wanted.engine
    there = {lane.lane_id: lane for lane in connection.lanes}
    taken = [there[lane_id] for lane_id in seat.lane_ids if lane_id is not None]
    assert len({lane.lane_id for lane in taken}) == len(taken)
    for lane_wanted, lane_id in zip(wanted.lanes, seat.lane_ids, strict=True):
        if lane_wanted.lane_id:
            assert lane_id == lane_wanted.lane_id
        elif lane_id is not None:
            lane = there[lane_id]
            assert (lane.platform, lane.width) == (wanted.platform, lane_wanted.width)
            if exclusive:
                assert lane.model_names <= lane_wanted.model_names
    if exclusive:
        assert len(taken) == len(connection.lanes)


@given(queues(), pools(), rooms)
def test_a_browser_that_holds_shared_tensors_never_makes_place(
    queue: list[Request], pool: list[ConnectionView], room: int
) -> None:
    pinned = {connection.connection_id for connection in pool if connection.pinned}
    assert not pinned & {opening.replaces for opening in decide(queue, pool, room).openings}


@settings(max_examples=500)  # it takes several things at once to tempt the younger one forward
@given(needs(), st.booleans(), st.integers(2, 4), pools(), rooms)
def test_equal_requests_are_granted_in_the_order_of_their_arrival(
    wanted: ConnectionNeed, exclusive: bool, count: int, pool: list[ConnectionView], room: int
) -> None:
    queue = [Request(number, (wanted,), exclusive, deadline=NOW + 1) for number in range(count)]
    granted = [grant.request for grant in decide(queue, pool, room).grants]
    assert granted == list(range(len(granted)))


@dataclass
class SimulatedPool:
    """Applies decisions as the pool does: what is granted is leased, what is opened starts empty."""

    max_connections: int
    connections: dict[str, ConnectionView] = field(default_factory=dict)
    queue: list[Request] = field(default_factory=list)
    served: list[int] = field(default_factory=list)
    count: int = 0

    def ask(self, *wanted: ConnectionNeed, exclusive: bool) -> int:
        self.count += 1
        self.queue.append(Request(self.count, wanted, exclusive, deadline=float("inf")))
        return self.count

    def settle(self) -> None:
        decisions = assign(self.queue, list(self.connections.values()), now=NOW, max_connections=self.max_connections)
        for grant in decisions.grants:
            (request,) = [request for request in self.queue if request.number == grant.request]
            for wanted, seat in zip(request.needs, grant.seats, strict=True):
                self._lease(wanted, seat)
            self.queue.remove(request)
            self.served.append(grant.request)
        for opening in decisions.openings:
            self.connections.pop(opening.replaces, None)
            self.count += 1
            name = f"c{self.count}"
            self.connections[name] = browser(name, engine=opening.engine, state=STARTING)
        assert alive_count(list(self.connections.values())) <= self.max_connections

    def _lease(self, wanted: ConnectionNeed, seat: Seat) -> None:
        connection = self.connections[seat.connection_id]
        lanes = list(connection.lanes)
        for lane_wanted, lane_id in zip(wanted.lanes, seat.lane_ids, strict=True):
            if lane_id is None:
                self.count += 1
                lanes.append(LaneView(f"l{self.count}", wanted.platform, lane_wanted.width, lane_wanted.model_names))
        self.connections[seat.connection_id] = ConnectionView(
            connection.connection_id, connection.engine, LEASED, tuple(lanes), float(self.count)
        )

    def advance(self, names: Sequence[str]) -> None:
        """These come to the end of their start or their lease."""
        for name in names:
            each = self.connections[name]
            self.connections[name] = ConnectionView(name, each.engine, READY, each.lanes, each.last_used)

    def busy(self) -> list[str]:
        return sorted(name for name, each in self.connections.items() if each.state is not READY)


one_lane = st.builds(
    lambda engine, name, width: need(lane_need(name, width=width), engine=engine),
    engines,
    st.sampled_from(NAMES),
    widths,
)
requests = st.tuples(st.lists(one_lane, min_size=1, max_size=3), st.booleans())


@given(st.data(), st.integers(1, 4))
def test_a_request_for_several_browsers_is_not_overtaken_for_ever(data: st.DataObject, max_connections: int) -> None:
    pool = SimulatedPool(max_connections)
    for wanted, exclusive in data.draw(st.lists(requests, max_size=4), label="before"):
        assume(len(wanted) <= max_connections)
        pool.ask(*wanted, exclusive=exclusive)
    several = data.draw(st.lists(one_lane, min_size=max_connections, max_size=max_connections), label="several")
    number = pool.ask(*several, exclusive=data.draw(st.booleans()))
    rounds = 0
    while number not in pool.served:
        pool.settle()
        # One more competitor a round, which needs only one browser; at least one thing comes to its end.
        pool.ask(data.draw(one_lane), exclusive=data.draw(st.booleans()))
        busy = pool.busy()
        if busy:
            first = data.draw(st.sampled_from(busy))
            pool.advance([first, *data.draw(st.lists(st.sampled_from(busy), max_size=2))])
        rounds += 1
        assert rounds < 100, pool


@given(st.data(), st.integers(1, 4), st.lists(requests, max_size=8))
def test_everybody_is_served_once_when_browsers_are_given_back(
    data: st.DataObject, max_connections: int, asked: list[tuple[list[ConnectionNeed], bool]]
) -> None:
    pool = SimulatedPool(max_connections)
    for wanted, exclusive in asked:
        if len(wanted) <= max_connections:
            pool.ask(*wanted, exclusive=exclusive)
            pool.settle()
    expected = Counter(request.number for request in pool.queue) + Counter(pool.served)
    rounds = 0
    while pool.queue:
        busy = pool.busy()
        pool.advance(data.draw(st.lists(st.sampled_from(busy), min_size=1)) if busy else [])
        pool.settle()
        rounds += 1
        assert rounds < 200, pool
    assert Counter(pool.served) == expected
