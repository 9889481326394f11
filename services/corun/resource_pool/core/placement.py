"""Which browser carries out what: a pure choice over a snapshot of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.resource_pool.core.plan import LaneNeed


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is: identity, platform, threads, models loaded."""

    lane_id: str
    platform: str
    width: int
    model_names: frozenset[str]


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A browser as it is. `last_used` is a monotonic time; only a ready one can be given away."""

    connection_id: str
    ready: bool
    lanes: tuple[LaneView, ...]
    last_used: float


@dataclass(frozen=True, slots=True)
class Placement:
    """What to do: put each need into the lane of the same position (None: open one) of `connection_id`. Without one,
    open a browser, in the place of `replaces` if that is given."""

    connection_id: str | None
    lane_ids: tuple[str | None, ...]
    replaces: str | None = None


def place(
    needs: tuple[LaneNeed, ...],
    *,
    platform: str,
    connections: Sequence[ConnectionView],
    model_sizes: Mapping[str, int],
    may_open: bool,
    exclusive: bool,
) -> Placement | None:
    """Chooses the browser that needs the least preparation; None when all are busy and none may be opened.

    With `exclusive` the browser holds these needs and nothing else, so that its memory is that of the plan;
    otherwise what it holds besides stays. A browser that would have to give something up is replaced instead:
    memory of closed lanes comes back only seconds later and would be measured as the plan's. That comes after
    opening one more, and the least recently used goes first.
    """
    ready = [connection for connection in connections if connection.ready]
    options = [
        (fit, connection)
        for connection in ready
        if (fit := _fit(needs, platform, connection, exclusive=exclusive)) is not None
    ]
    if options:
        best, connection = min(options, key=lambda option: _missing_bytes(needs, *option, sizes=model_sizes))
        holds_something = any(lane_id is not None for lane_id in best.lane_ids)
        if holds_something or not connection.lanes or not may_open:
            return best
    nothing_yet = (None,) * len(needs)
    if may_open:
        return Placement(None, nothing_yet)
    if ready:
        oldest = min(ready, key=lambda connection: connection.last_used)
        return Placement(None, nothing_yet, replaces=oldest.connection_id)
    return None


def _fit(
    needs: tuple[LaneNeed, ...], platform: str, connection: ConnectionView, *, exclusive: bool
) -> Placement | None:
    """How the needs fit into a browser; None where it would have to give something up."""
    free = list(connection.lanes)
    lane_ids: list[str | None] = []
    for need in needs:
        usable = [lane for lane in free if _serves(lane, need, platform, exclusive=exclusive)]
        if not usable:
            lane_ids.append(None)
            continue
        best = max(usable, key=lambda lane: len(lane.model_names & need.model_names))
        free.remove(best)
        lane_ids.append(best.lane_id)
    return Placement(connection.connection_id, tuple(lane_ids)) if not (exclusive and free) else None


def _serves(lane: LaneView, need: LaneNeed, platform: str, *, exclusive: bool) -> bool:
    # A lane's WebAssembly memory never shrinks, so an exclusive need cannot take a lane that held more.
    fits = lane.platform == platform and lane.width == need.width
    return fits and (not exclusive or lane.model_names <= need.model_names)


def _missing_bytes(
    needs: tuple[LaneNeed, ...], fit: Placement, connection: ConnectionView, *, sizes: Mapping[str, int]
) -> int:
    held = {lane.lane_id: lane.model_names for lane in connection.lanes}
    return sum(
        sizes[name]
        for need, lane_id in zip(needs, fit.lane_ids, strict=True)
        for name in need.model_names - (held[lane_id] if lane_id is not None else frozenset())
    )
