"""Who gets a place next, simulated with a clock of its own."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.fairness import FairQueue


def simulate(lengths: dict[str, float], *, places: int, until: float, with_kinds: bool = False) -> dict[str, float]:
    """Clients that always have several turns waiting, each with work of its own kind where the queue is told kinds;
    seconds that each held places."""
    queue, now, number = FairQueue(places), 0.0, 0
    owner: dict[int, str] = {}
    ends: list[tuple[float, int]] = []
    held = dict.fromkeys(lengths, 0.0)

    def ask(client: str) -> None:
        nonlocal number
        number += 1
        owner[number] = client
        queue.enqueue(number, client, now=now, kind=client if with_kinds else None)

    for client in lengths:
        for _ in range(4):
            ask(client)
    while now < until:
        for granted in queue.grant(now=now):
            heapq.heappush(ends, (now + lengths[owner[granted]], granted))
        now, ended = heapq.heappop(ends)
        queue.leave(ended, now=now)
        held[owner[ended]] += lengths[owner[ended]]
        ask(owner[ended])
    return held


@given(lengths=st.lists(st.floats(0.5, 4.0), min_size=2, max_size=5), places=st.integers(1, 2))
def test_clients_get_equal_time_however_long_their_turns_are(lengths: list[float], places: int) -> None:
    held = simulate({f"client-{n}": length for n, length in enumerate(lengths)}, places=places, until=400.0)
    # No more apart than a turn or two of the longest.
    assert max(held.values()) - min(held.values()) <= 3 * max(lengths)


def test_turns_of_one_client_come_in_order() -> None:
    queue = FairQueue(1)
    for number in (1, 2, 3):
        queue.enqueue(number, "ada", now=0.0)
    order = []
    for now in (1.0, 2.0, 3.0):
        (granted,) = queue.grant(now=now)
        order.append(granted)
        queue.leave(granted, now=now + 0.5)
    assert order == [1, 2, 3]


def test_a_client_that_was_away_has_saved_up_nothing() -> None:
    queue = FairQueue(1)
    queue.enqueue(1, "ada", now=0.0)
    queue.grant(now=0.0)
    queue.enqueue(2, "ada", now=0.0)
    queue.leave(1, now=1000.0)  # ada has had 1,000 seconds; bob was not there
    queue.enqueue(3, "bob", now=1000.0)
    queue.enqueue(4, "bob", now=1000.0)
    first = queue.grant(now=1000.0)
    queue.leave(first[0], now=1010.0)
    second = queue.grant(now=1010.0)
    assert {*first, *second} == {2, 3}  # not both of bob's


def test_a_turn_that_leaves_while_it_waits_is_not_granted_and_leaving_twice_is_fine() -> None:
    queue = FairQueue(1)
    queue.enqueue(1, "ada", now=0.0)
    queue.leave(1, now=0.0)
    queue.leave(1, now=0.0)
    assert queue.grant(now=0.0) == []
    assert (queue.waiting_count, queue.running_count) == (0, 0)


def test_two_free_places_go_to_two_clients() -> None:
    queue = FairQueue(2)
    for number, client in enumerate(["ada", "ada", "bob"]):
        queue.enqueue(number, client, now=0.0)
    assert queue.grant(now=0.0) == [0, 2]


def test_the_wait_that_is_expected_grows_with_those_that_wait() -> None:
    queue = FairQueue(2)
    assert queue.expected_wait_seconds() == 1.0  # nothing is known
    queue.enqueue(1, "ada", now=0.0)
    queue.grant(now=0.0)
    queue.leave(1, now=4.0)
    assert queue.expected_wait_seconds() == 2.0  # one more turn of 4 s on two places
    queue.place_count = 0
    queue.enqueue(2, "ada", now=4.0)
    assert queue.expected_wait_seconds() == 8.0


def next_after_a_turn_of(seconds: float, *, asked: str, is_finished: bool = True) -> str:
    """Two clients have had three turns each, all the same work of one second; then one more each, of which the one of
    a took so long. Who is next, where they have asked in some order."""
    queue, now = FairQueue(1), 0.0
    for number in range(6):
        queue.enqueue(number, "ab"[number % 2], now=now, kind="work")
        assert queue.grant(now=now) == [number]
        now += 1.0
        queue.leave(number, now=now)
    for number, client in enumerate("ab" + asked, start=6):
        queue.enqueue(number, client, now=now, kind="work")
    for number, took in ((6, seconds), (7, 1.0)):
        assert queue.grant(now=now) == [number]
        now += took
        queue.leave(number, now=now, is_finished=is_finished)
    (granted,) = queue.grant(now=now)
    return asked[granted - 8]


@pytest.mark.parametrize("asked", ["ab", "ba"])
@pytest.mark.parametrize("seconds", [0.01, 1.0, 30.0])
def test_a_turn_that_was_slow_or_quick_by_chance_is_charged_what_its_kind_of_work_takes(
    seconds: float, asked: str
) -> None:
    assert next_after_a_turn_of(seconds, asked=asked) == asked[0]  # they are level


@pytest.mark.parametrize("asked", ["ab", "ba"])
@pytest.mark.parametrize(("seconds", "expected"), [(0.5, "a"), (30.0, "b")])
def test_a_turn_whose_work_was_not_finished_is_charged_what_it_took(seconds: float, asked: str, expected: str) -> None:
    assert next_after_a_turn_of(seconds, asked=asked, is_finished=False) == expected


def test_a_second_turn_is_not_charged_for_what_the_first_of_its_kind_had_to_load() -> None:
    queue = FairQueue(1)
    queue.enqueue(1, "first", now=0.0, kind="work")
    queue.grant(now=0.0)
    queue.leave(1, now=30.0)
    for number, client in ((2, "second"), (3, "other"), (4, "second"), (5, "other")):
        queue.enqueue(number, client, now=30.0, kind="work" if client == "second" else "other work")
    order = []
    for now in (30.0, 31.0, 32.0):
        order += (granted := queue.grant(now=now))
        queue.leave(granted[0], now=now + 1.0)
    assert order == [2, 3, 4]


def test_work_that_always_takes_long_is_charged_in_full() -> None:
    held = simulate({"quick": 1.0, "slow": 10.0}, places=1, until=1100.0, with_kinds=True)
    # As many seconds each, which are ten times as many turns of the quick one.
    assert held["quick"] == pytest.approx(held["slow"], abs=12)
