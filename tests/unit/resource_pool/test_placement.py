"""Which browser gets a plan."""

from __future__ import annotations

from corun.resource_pool.core.placement import ConnectionView, LaneView, Placement, place
from corun.resource_pool.core.plan import LaneNeed

SIZES = {"a": 100, "b": 10}


def need(*names: str, width: int = 2) -> LaneNeed:
    return LaneNeed(width, frozenset(names))


def lane(lane_id: str, *names: str, width: int = 2, platform: str = "wasm") -> LaneView:
    return LaneView(lane_id, platform, width, frozenset(names))


def connection(connection_id: str, *lanes: LaneView, ready: bool = True, last_used: float = 0.0) -> ConnectionView:
    return ConnectionView(connection_id, ready, lanes, last_used)


def choose(
    needs: tuple[LaneNeed, ...], *connections: ConnectionView, may_open: bool = False, exclusive: bool = True
) -> Placement | None:
    return place(
        needs, platform="wasm", connections=connections, model_sizes=SIZES, may_open=may_open, exclusive=exclusive
    )


def test_a_browser_that_already_holds_the_models_is_chosen() -> None:
    cold, warm = connection("cold"), connection("warm", lane("l1", "a", "b"))
    assert choose((need("a", "b"),), cold, warm, may_open=True) == Placement("warm", ("l1",))


def test_an_empty_browser_comes_before_a_new_one() -> None:
    assert choose((need("a"),), connection("empty"), may_open=True) == Placement("empty", (None,))


def test_a_new_browser_comes_before_one_that_would_have_to_give_something_up() -> None:
    other = connection("other", lane("l1", "b", width=1))
    assert choose((need("a"),), other, may_open=True) == Placement(None, (None,))


def test_when_none_may_be_opened_the_least_recently_used_is_replaced() -> None:
    old = connection("old", lane("l1", "b", width=1), last_used=1.0)
    new = connection("new", lane("l2", "b", width=1), last_used=2.0)
    assert choose((need("a"),), new, old) == Placement(None, (None,), replaces="old")


def test_busy_browsers_are_waited_for() -> None:
    assert choose((need("a"),), connection("busy", lane("l1", "a"), ready=False)) is None


def test_an_exclusive_need_does_not_take_a_lane_that_held_more_because_its_memory_never_shrinks() -> None:
    held_more = connection("c", lane("l1", "a", "b"))
    assert choose((need("a"),), held_more) == Placement(None, (None,), replaces="c")


def test_a_shared_need_keeps_what_else_the_browser_holds() -> None:
    held_more = connection("c", lane("l1", "a", "b"), lane("l2", "b", width=1))
    assert choose((need("a"),), held_more, exclusive=False) == Placement("c", ("l1",))


def test_lanes_of_another_platform_or_width_do_not_serve() -> None:
    wrong = connection("c", lane("l1", "a", platform="webgpu"), lane("l2", "a", width=1))
    assert choose((need("a"),), wrong) == Placement(None, (None,), replaces="c")


def test_two_needs_never_share_a_lane() -> None:
    one = connection("c", lane("l1", "a", width=1))
    needs = (need("a", width=1), need("a", width=1))
    assert choose(needs, one) == Placement("c", ("l1", None))


def test_of_two_warm_browsers_the_one_that_misses_fewer_bytes_is_chosen() -> None:
    has_small, has_large = connection("s", lane("l1", "b")), connection("l", lane("l2", "a"))
    assert choose((need("a", "b"),), has_small, has_large) == Placement("l", ("l2",))
