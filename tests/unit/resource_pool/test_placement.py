"""Which browser a need is given, and which is given up first."""

from __future__ import annotations

import pytest

from corun.resource_pool.core.placement import (
    ConnectionNeed,
    ConnectionView,
    LaneView,
    Seat,
    SeatRules,
    find_seat,
    least_recently_used,
)
from tests.unit.resource_pool.views import browser, lane, lane_need, need

SIZES = {"a": 100, "b": 10}
FULL = 1_500_000_000  # bytes of models with which a lane takes no more: FACTS of WebAssembly's 4 GB


def choose(
    wanted: ConnectionNeed, *ready: ConnectionView, may_open: bool = False, exclusive: bool = True
) -> Seat | None:
    return find_seat(wanted, ready, SeatRules(exclusive, SIZES, may_open))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_browser_that_already_holds_the_models_is_chosen(exclusive: bool) -> None:
    cold, warm = browser("cold"), browser("warm", lane("l1", "a", "b"))
    wanted = need(lane_need("a", "b"))
    assert choose(wanted, cold, warm, may_open=True, exclusive=exclusive) == Seat("warm", ("l1",))


def test_an_empty_browser_comes_before_a_new_one() -> None:
    assert choose(need(lane_need("a")), browser("empty"), may_open=True) == Seat("empty", (None,))


@pytest.mark.parametrize("order", [1, -1])
def test_an_empty_browser_comes_before_a_new_one_also_when_another_is_full_of_something_else(order: int) -> None:
    ready = [browser("other", lane("l1", "b", width=1)), browser("empty")][::order]
    assert choose(need(lane_need("a")), *ready, may_open=True, exclusive=False) == Seat("empty", (None,))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_new_browser_comes_before_one_that_holds_something_else(exclusive: bool) -> None:
    other = browser("other", lane("l1", "b", width=1))
    assert choose(need(lane_need("a")), other, may_open=True, exclusive=exclusive) is None


def test_when_none_may_be_opened_a_shared_need_opens_its_lane_beside_the_others() -> None:
    other = browser("other", lane("l1", "b", width=1))
    assert choose(need(lane_need("a")), other, exclusive=False) == Seat("other", (None,))


def test_an_exclusive_need_does_not_take_a_lane_that_held_more_because_its_memory_never_shrinks() -> None:
    assert choose(need(lane_need("a")), browser("c", lane("l1", "a", "b"))) is None


def test_an_exclusive_need_takes_no_browser_that_would_keep_another_lane() -> None:
    assert choose(need(lane_need("a")), browser("c", lane("l1", "a"), lane("l2", "a"))) is None


def test_an_exclusive_need_does_not_take_a_lane_that_holds_shared_tensors() -> None:
    assert choose(need(lane_need("a")), browser("c", lane("l1", "a", pinned=True))) is None


def test_an_exclusive_need_does_not_take_a_lane_with_sessions_of_other_shapes() -> None:
    held = browser("b", lane("l", "a", shapes=("a:4", "a:8")))
    assert choose(need(lane_need("a", shapes=("a:4",))), held) is None
    assert choose(need(lane_need("a", shapes=("a:4", "a:8", "a:2"))), held) == Seat("b", ("l",))
    assert choose(need(lane_need("a")), held, exclusive=False) == Seat("b", ("l",))
    assert choose(need(lane_need("a", shapes=None)), held) == Seat("b", ("l",))


def test_a_shared_need_keeps_what_else_the_browser_holds() -> None:
    held_more = browser("c", lane("l1", "a", "b"), lane("l2", "b", width=1))
    assert choose(need(lane_need("a")), held_more, exclusive=False) == Seat("c", ("l1",))


def test_a_shared_need_goes_where_the_shared_tensors_lie() -> None:
    held = browser("c", lane("l1", "a"), lane("l2", pinned=True))
    assert choose(need(lane_need("a")), held, exclusive=False) == Seat("c", ("l2",))


@pytest.mark.parametrize(
    ("held", "expected"),
    [(lane("l1", "b", model_bytes=FULL), None), (lane("l1", "a", "b", model_bytes=FULL), "l1")],
    ids=["a model to be loaded", "a model that is there"],
)
def test_a_lane_that_is_full_takes_no_further_model(held: LaneView, expected: str | None) -> None:
    assert choose(need(lane_need("a")), browser("c", held), exclusive=False) == Seat("c", (expected,))


@pytest.mark.parametrize(
    "wrong", [lane("l1", "a", platform="webgpu"), lane("l2", "a", width=1)], ids=["platform", "width"]
)
def test_lanes_of_another_platform_or_width_do_not_serve(wrong: LaneView) -> None:
    assert choose(need(lane_need("a")), browser("c", wrong)) is None
    assert choose(need(lane_need("a")), browser("c", wrong), exclusive=False) == Seat("c", (None,))


def test_browsers_of_another_engine_do_not_serve() -> None:
    assert choose(need(lane_need("a"), engine="firefox"), browser("c", lane("l1", "a"))) is None


def test_two_needs_never_share_a_lane() -> None:
    wanted = need(lane_need("a", width=1), lane_need("a", width=1))
    assert choose(wanted, browser("c", lane("l1", "a", width=1))) == Seat("c", ("l1", None))


def test_of_two_lanes_the_one_that_holds_more_of_the_models_is_taken() -> None:
    held = browser("c", lane("l1", "b"), lane("l2", "a", "b"))
    assert choose(need(lane_need("a", "b")), held, exclusive=False) == Seat("c", ("l2",))


def test_of_two_warm_browsers_the_one_that_misses_fewer_bytes_is_chosen() -> None:
    has_small, has_large = browser("s", lane("l1", "b")), browser("l", lane("l2", "a"))
    assert choose(need(lane_need("a", "b")), has_small, has_large) == Seat("l", ("l2",))


def test_a_need_for_one_browser_takes_that_one_whatever_else_is_there() -> None:
    warm, wanted = browser("warm", lane("l1", "a")), browser("wanted", lane("l2", "b", width=1))
    only_that = need(lane_need("a"), connection_id="wanted")
    assert choose(only_that, warm, wanted, exclusive=False, may_open=True) == Seat("wanted", (None,))
    assert choose(only_that, warm, exclusive=False, may_open=True) is None


def test_a_need_for_one_lane_takes_that_lane_and_no_other() -> None:
    held = browser("c", lane("l1", "a"), lane("l2", "b"))
    this = need(lane_need("a", lane_id="l2"), connection_id="c")
    assert choose(this, held, exclusive=False) == Seat("c", ("l2",))
    gone = need(lane_need("a", lane_id="l3"), connection_id="c")
    assert choose(gone, held, exclusive=False) is None


def test_a_need_without_lanes_takes_any_browser_of_its_engine() -> None:
    assert choose(need(), browser("c", lane("l1", "a")), exclusive=False) == Seat("c", ())


def test_the_least_recently_used_browser_is_given_up_first_but_none_that_holds_shared_tensors() -> None:
    old, new = browser("old", last_used=1.0), browser("new", last_used=2.0)
    oldest = browser("oldest", lane("l1", pinned=True), last_used=0.0)
    assert least_recently_used([new, oldest, old]) == old
    assert least_recently_used([oldest]) is None
    assert least_recently_used([]) is None
