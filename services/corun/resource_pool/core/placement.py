"""How what is needed fits into a browser: a pure choice over a snapshot of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.plan import LaneNeed

# A WebAssembly memory ends at 4 GB; loading takes a model's size twice.
_LANE_MODEL_BYTES = 1_500_000_000


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is. `pinned` while it holds shared tensors; `shapes` are those that sessions were built for, where
    a session is of one shape."""

    lane_id: str
    platform: str
    width: int
    model_names: frozenset[str]
    model_bytes: int = 0
    pinned: bool = False
    shapes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A browser as it is. `last_used` is a monotonic time; `memory_mb` is its size when it was last weighed."""

    connection_id: str
    engine: str
    state: ConnectionState
    lanes: tuple[LaneView, ...] = ()
    last_used: float = 0.0
    memory_mb: float = 0.0

    @property
    def pinned(self) -> bool:
        """True while it holds shared tensors: closing it would lose them."""
        return any(lane.pinned for lane in self.lanes)


@dataclass(frozen=True, slots=True)
class ConnectionNeed:
    """One browser that a request asks for.

    Attributes:
        engine: Kind of browser.
        platform: Of all its lanes.
        lanes: What it must hold.
        connection_id: Only this one will do; empty: any.
    """

    engine: str
    platform: str
    lanes: tuple[LaneNeed, ...]
    connection_id: str = ""

    def is_gone_from(self, connection: ConnectionView) -> bool:
        """True when it asks for a very lane that this browser does not have."""
        there = {lane.lane_id for lane in connection.lanes}
        return any(lane.lane_id and lane.lane_id not in there for lane in self.lanes)


@dataclass(frozen=True, slots=True)
class Seat:
    """A browser for a need: put each lane need into the lane of the same position (None: open one)."""

    connection_id: str
    lane_ids: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class SeatRules:
    """What counts in a choice.

    Attributes:
        exclusive: The browser must hold these needs and nothing else, so that its memory is that of the plan.
        model_sizes: Bytes of each model's file.
        may_open: A new browser is an alternative.
    """

    exclusive: bool
    model_sizes: Mapping[str, int] = field(default_factory=dict)
    may_open: bool = False


def find_seat(need: ConnectionNeed, ready: Sequence[ConnectionView], rules: SeatRules) -> Seat | None:
    """Chooses the browser that needs the least loading; None when a new one is better or none fits.

    A browser that would have to give something up does not fit: memory of closed lanes comes back only seconds
    later and would be measured as the next plan's.
    """
    options = [
        (seat, connection)
        for connection in ready
        if _is_eligible(connection, need)
        and (seat := _fit(need, connection, exclusive=rules.exclusive)) is not None
        and not (rules.may_open and _is_worse_than_new(seat, connection, need))
    ]
    if not options:
        return None
    best, _ = min(options, key=lambda option: _missing_bytes(need, *option, sizes=rules.model_sizes))
    return best


def least_recently_used(ready: Sequence[ConnectionView]) -> ConnectionView | None:
    """The browser to give up first; never one that holds shared tensors."""
    return min((each for each in ready if not each.pinned), key=lambda connection: connection.last_used, default=None)


def _is_eligible(connection: ConnectionView, need: ConnectionNeed) -> bool:
    if need.connection_id:
        return connection.connection_id == need.connection_id
    return connection.engine == need.engine


def _is_worse_than_new(seat: Seat, connection: ConnectionView, need: ConnectionNeed) -> bool:
    """True for a browser that is full of something else."""
    return not need.connection_id and bool(connection.lanes) and not any(seat.lane_ids)


def _fit(need: ConnectionNeed, connection: ConnectionView, *, exclusive: bool) -> Seat | None:
    if need.is_gone_from(connection):
        return None
    free = list(connection.lanes)
    lane_ids: list[str | None] = []
    for lane_need in need.lanes:
        usable = [lane for lane in free if _serves(lane, lane_need, need.platform, exclusive=exclusive)]
        if not usable:
            lane_ids.append(None)
            continue
        best = max(usable, key=lambda lane: (lane.pinned, len(lane.model_names & lane_need.model_names)))
        free.remove(best)
        lane_ids.append(best.lane_id)
    return Seat(connection.connection_id, tuple(lane_ids)) if not (exclusive and free) else None


def _serves(lane: LaneView, need: LaneNeed, platform: str, *, exclusive: bool) -> bool:
    if need.lane_id:
        return lane.lane_id == need.lane_id
    if lane.platform != platform or lane.width != need.width:
        return False
    # A lane's WebAssembly memory never shrinks, so an exclusive need cannot take a lane that held more.
    if exclusive:
        has_no_other_shapes = need.shapes is None or lane.shapes <= need.shapes
        return lane.model_names <= need.model_names and has_no_other_shapes and not lane.pinned
    return need.model_names <= lane.model_names or lane.model_bytes < _LANE_MODEL_BYTES


def _missing_bytes(need: ConnectionNeed, seat: Seat, connection: ConnectionView, *, sizes: Mapping[str, int]) -> int:
    held = {lane.lane_id: lane.model_names for lane in connection.lanes}
    return sum(
        sizes.get(name, 0)
        for lane_need, lane_id in zip(need.lanes, seat.lane_ids, strict=True)
        for name in lane_need.model_names - (held[lane_id] if lane_id is not None else frozenset())
    )
