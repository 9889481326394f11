"""The life of a connection."""

from __future__ import annotations

import itertools

import pytest

from corun.resource_pool.core.connection_state import ALIVE, FOLLOWERS, ConnectionState, follow

S = ConnectionState

LIVES = [
    [S.STARTING, S.READY, S.LEASED, S.READY, S.CLOSED],
    [S.STARTING, S.READY, S.LEASED, S.DRAINING, S.CLOSED],
    [S.STARTING, S.UNHEALTHY, S.CLOSED],
    [S.STARTING, S.CLOSED],
]


@pytest.mark.parametrize("life", LIVES, ids=" ".join)
def test_a_connection_goes_through_its_life(life: list[ConnectionState]) -> None:
    for state, wanted in itertools.pairwise(life):
        assert follow(state, wanted) is wanted


@pytest.mark.parametrize(
    ("state", "wanted"),
    [(S.STARTING, S.LEASED), (S.READY, S.DRAINING), (S.READY, S.STARTING), (S.UNHEALTHY, S.READY), (S.CLOSED, S.READY)],
)
def test_what_is_no_step_of_its_life_is_refused_with_both_states(
    state: ConnectionState, wanted: ConnectionState
) -> None:
    with pytest.raises(ValueError, match=f"that is {state} cannot become {wanted}"):
        follow(state, wanted)


def test_every_state_says_what_may_follow_and_none_follows_itself() -> None:
    assert set(FOLLOWERS) == set(ConnectionState)
    assert all(state not in after for state, after in FOLLOWERS.items())


def test_whatever_is_alive_may_be_lost_and_closed_and_what_is_lost_never_comes_back() -> None:
    assert all({S.UNHEALTHY, S.CLOSED} <= FOLLOWERS[state] for state in ALIVE)
    assert FOLLOWERS[S.UNHEALTHY] == {S.CLOSED}
    assert FOLLOWERS[S.CLOSED] == set()
