"""Short ways to write down what a pool looks like."""

from __future__ import annotations

from collections.abc import Collection

from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionNeed, ConnectionView, LaneView
from corun.resource_pool.core.plan import LaneNeed

READY, LEASED, STARTING = ConnectionState.READY, ConnectionState.LEASED, ConnectionState.STARTING


def lane_need(*names: str, width: int = 2, lane_id: str = "", shapes: Collection[str] | None = ()) -> LaneNeed:
    """A lane that is to hold these models."""
    return LaneNeed(width, frozenset(names), lane_id, None if shapes is None else frozenset(shapes))


def need(*lanes: LaneNeed, engine: str = "chromium", platform: str = "wasm", connection_id: str = "") -> ConnectionNeed:
    """A browser that is to have these lanes."""
    return ConnectionNeed(engine, platform, lanes, connection_id)


def lane(
    lane_id: str,
    *names: str,
    width: int = 2,
    platform: str = "wasm",
    model_bytes: int = 0,
    pinned: bool = False,
    shapes: Collection[str] = (),
) -> LaneView:
    """A lane that holds these models."""
    return LaneView(lane_id, platform, width, frozenset(names), model_bytes, pinned, frozenset(shapes))


def browser(
    connection_id: str,
    *lanes: LaneView,
    engine: str = "chromium",
    state: ConnectionState = READY,
    last_used: float = 0.0,
    memory_mb: float = 0.0,
) -> ConnectionView:
    """A browser with these lanes."""
    return ConnectionView(connection_id, engine, state, lanes, last_used, memory_mb)
