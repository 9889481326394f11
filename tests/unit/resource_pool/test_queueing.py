"""Who gets which browsers next."""

from __future__ import annotations

import pytest

from corun.resource_pool.core.placement import ConnectionNeed, ConnectionView, Seat
from corun.resource_pool.core.queueing import Decisions, Grant, Opening, Request, assign, expected_wait_seconds
from tests.unit.resource_pool.views import LEASED, STARTING, browser, lane, lane_need, need

NOW = 100.0


def request(number: int, *needs: ConnectionNeed, deadline: float = NOW + 10, exclusive: bool = False) -> Request:
    return Request(number, needs or (need(lane_need("a")),), exclusive, deadline)


def decide(*queue: Request, pool: tuple[ConnectionView, ...] = (), room: int = 1) -> Decisions:
    return assign(queue, pool, now=NOW, max_connections=len(pool) + room)


def test_nothing_is_decided_for_an_empty_queue() -> None:
    assert decide(pool=(browser("c"),)) == Decisions()


def test_the_first_in_the_queue_gets_the_free_browser() -> None:
    decisions = decide(request(1), request(2), pool=(browser("c"),), room=0)
    assert decisions == Decisions(grants=(Grant(1, (Seat("c", (None,)),)),))


def test_a_browser_is_started_for_who_finds_none() -> None:
    assert decide(request(1)) == Decisions(openings=(Opening("chromium", 1),))


def test_a_browser_that_is_starting_is_waited_for_instead_of_starting_another() -> None:
    assert decide(request(1), pool=(browser("c", state=STARTING),), room=3) == Decisions()


def test_each_browser_that_is_starting_is_waited_for_by_one_request_only() -> None:
    decisions = decide(request(1), request(2), pool=(browser("c", state=STARTING),), room=3)
    assert decisions == Decisions(openings=(Opening("chromium", 2),))


def test_of_two_that_ask_for_the_same_the_older_gets_what_is_there_and_the_younger_waits_for_a_new_browser() -> None:
    full_of_something_else = browser("c", lane("l", "b", width=1))
    decisions = decide(request(1), request(2), pool=(full_of_something_else,), room=1)
    assert decisions == Decisions(grants=(Grant(1, (Seat("c", (None,)),)),), openings=(Opening("chromium", 2),))


def test_no_more_browsers_are_started_than_there_is_room_for() -> None:
    decisions = decide(request(1), request(2), request(3), room=2)
    assert decisions.openings == (Opening("chromium", 1), Opening("chromium", 2))


def test_where_there_is_no_room_the_idle_browser_used_longest_ago_makes_place() -> None:
    idle = (browser("new", last_used=2.0), browser("old", last_used=1.0))
    decisions = decide(request(1, need(engine="firefox")), pool=idle, room=0)
    assert decisions == Decisions(openings=(Opening("firefox", 1, replaces="old"),))


@pytest.mark.parametrize(
    "kept",
    [browser("c", state=LEASED), browser("c", lane("l", pinned=True)), browser("c", state=STARTING)],
    ids=["leased", "holds shared tensors", "starting"],
)
def test_no_browser_in_use_makes_place(kept: ConnectionView) -> None:
    assert decide(request(1, need(engine="firefox")), pool=(kept,), room=0) == Decisions()


def test_an_exclusive_request_replaces_a_browser_that_holds_something_else() -> None:
    decisions = decide(request(1, exclusive=True), pool=(browser("c", lane("l", "b")),), room=0)
    assert decisions == Decisions(openings=(Opening("chromium", 1, replaces="c"),))


@pytest.mark.parametrize("deadline", [NOW - 1, NOW])
def test_a_request_past_its_deadline_expires_whatever_is_free(deadline: float) -> None:
    decisions = decide(request(1, deadline=deadline), request(2), pool=(browser("c"),))
    assert decisions.expired == (1,)
    assert [grant.request for grant in decisions.grants] == [2]


def test_a_request_for_a_browser_that_is_no_more_is_told_so() -> None:
    assert decide(request(1, need(connection_id="gone")), pool=(browser("c"),)) == Decisions(gone=(1,))


def test_a_request_for_a_lane_that_is_no_more_is_told_so() -> None:
    wanted = need(lane_need("a", lane_id="gone"), connection_id="c")
    for state in (LEASED, browser("c").state):
        assert decide(request(1, wanted), pool=(browser("c", lane("l"), state=state),)) == Decisions(gone=(1,))


def test_a_request_for_one_busy_browser_waits_for_it_and_starts_no_other() -> None:
    wanted = need(connection_id="c")
    assert decide(request(1, wanted), pool=(browser("c", state=LEASED),)) == Decisions()


def test_who_waits_for_a_busy_browser_does_not_hold_up_who_needs_another() -> None:
    pool = (browser("c", state=LEASED), browser("f", engine="firefox"))
    decisions = decide(request(1, need(connection_id="c")), request(2, need(engine="firefox")), pool=pool, room=0)
    assert [grant.request for grant in decisions.grants] == [2]


def test_a_request_for_several_browsers_gets_all_of_them_or_none() -> None:
    both = (need(), need(engine="firefox"))
    pool = (browser("c"), browser("f", engine="firefox"))
    assert decide(request(1, *both), pool=pool).grants == (Grant(1, (Seat("c", ()), Seat("f", ()))),)
    assert decide(request(1, *both), pool=pool[:1], room=1) == Decisions(openings=(Opening("firefox", 1),))


def test_two_needs_of_a_request_never_get_the_same_browser() -> None:
    pool = (browser("c"), browser("d"))
    (grant,) = decide(request(1, need(), need()), pool=pool).grants
    assert {seat.connection_id for seat in grant.seats} == {"c", "d"}


def test_the_oldest_that_waits_keeps_the_free_browsers_it_has_found() -> None:
    pool = (browser("c"), browser("f", engine="firefox", state=LEASED))
    both = request(1, need(), need(engine="firefox"))
    assert decide(both, request(2, need()), pool=pool, room=0) == Decisions()


def test_only_the_oldest_that_waits_keeps_what_it_has_found() -> None:
    pool = (browser("c"), browser("f", engine="firefox", state=LEASED))
    oldest = request(1, need(connection_id="f"))
    both = request(2, need(), need(engine="firefox"))
    assert [grant.request for grant in decide(oldest, both, request(3, need()), pool=pool, room=0).grants] == [3]


def test_what_the_oldest_has_found_does_not_make_place_for_what_it_misses() -> None:
    decisions = decide(request(1, need(), need(engine="firefox")), pool=(browser("c"),), room=0)
    assert decisions == Decisions()


def test_the_wait_that_is_to_be_expected_grows_with_the_queue_and_shrinks_with_the_places() -> None:
    recent = (1.0, 2.0, 60.0)  # the median, 2 s, is not moved by one long lease
    assert expected_wait_seconds(waiting_count=0, place_count=1, recent_seconds=recent) == 2.0
    assert expected_wait_seconds(waiting_count=5, place_count=1, recent_seconds=recent) == 12.0
    assert expected_wait_seconds(waiting_count=5, place_count=3, recent_seconds=recent) == 4.0


def test_no_wait_is_expected_while_nothing_is_known() -> None:
    assert expected_wait_seconds(waiting_count=100, place_count=1, recent_seconds=()) == 0.0
