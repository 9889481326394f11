"""When to come back to a full pool."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corun.plumbing.retrying import pause_seconds

_SPREADS = st.floats(0, 1)


@given(st.floats(0, 60), st.integers(1, 1000), _SPREADS)
def test_nobody_comes_back_earlier_than_the_server_said(said: float, attempt: int, spread: float) -> None:
    pause = pause_seconds(said, attempt=attempt, remaining_seconds=1e9, spread=spread)
    assert pause is not None
    assert said <= pause <= max(said, 10) * 1.5


@given(st.floats(0, 60), st.integers(1, 1000), _SPREADS, st.floats(0, 100))
def test_nobody_waits_past_the_end(said: float, attempt: int, spread: float, remaining: float) -> None:
    pause = pause_seconds(said, attempt=attempt, remaining_seconds=remaining, spread=spread)
    assert pause is None or pause < remaining


def test_the_shortest_pause_doubles_up_to_ten_seconds() -> None:
    pauses = [pause_seconds(0, attempt=attempt, remaining_seconds=100, spread=0) for attempt in (1, 2, 3, 8, 9, 500)]
    assert pauses == [0.05, 0.1, 0.2, 6.4, 10, 10]


def test_a_server_that_says_nothing_is_not_come_back_to() -> None:
    assert pause_seconds(None, attempt=1, remaining_seconds=100, spread=0) is None
