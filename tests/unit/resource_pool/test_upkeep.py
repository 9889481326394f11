"""Which idle browsers are given up for memory, and when one has served long enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionView
from corun.resource_pool.core.upkeep import RecyclingRule, evictions
from tests.unit.resource_pool.views import LEASED, READY, browser, lane


def test_nothing_is_given_up_within_the_budget() -> None:
    assert evictions([browser("a", memory_mb=400), browser("b", memory_mb=600)], budget_mb=1000) == ()


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    pool = [browser(name, last_used=used, memory_mb=400) for name, used in (("new", 3.0), ("old", 1.0), ("mid", 2.0))]
    assert evictions(pool, budget_mb=800) == ("old",)
    assert evictions(pool, budget_mb=799) == ("old", "mid")


def test_the_one_that_was_used_last_stays_however_large_it_is() -> None:
    pool = [browser("old", last_used=1.0, memory_mb=10), browser("new", last_used=2.0, memory_mb=9000)]
    assert evictions(pool, budget_mb=100) == ("old",)


def test_browsers_in_use_count_but_stay() -> None:
    pool = [
        browser("busy", state=LEASED, memory_mb=900),
        browser("old", last_used=1.0, memory_mb=200),
        browser("new", last_used=2.0, memory_mb=200),
    ]
    assert evictions(pool, budget_mb=1000) == ("old",)


def test_browsers_that_hold_shared_tensors_stay() -> None:
    pool = [
        browser("holds", lane("l", pinned=True), last_used=0.0, memory_mb=900),
        browser("old", last_used=1.0, memory_mb=200),
        browser("new", last_used=2.0, memory_mb=200),
    ]
    assert evictions(pool, budget_mb=100) == ("old",)


@given(
    st.lists(
        st.tuples(st.sampled_from([READY, LEASED]), st.floats(0, 100), st.floats(0, 2000), st.booleans()), max_size=8
    ),
    st.floats(100, 5000),
)
def test_only_idle_browsers_that_hold_nothing_shared_are_given_up_and_never_one_too_many(
    described: list[tuple[ConnectionState, float, float, bool]], budget_mb: float
) -> None:
    pool: dict[str, ConnectionView] = {
        f"c{number}": browser(
            f"c{number}", *([lane("l", pinned=True)] if pinned else []), state=state, last_used=used, memory_mb=size
        )
        for number, (state, used, size, pinned) in enumerate(described)
    }
    chosen = evictions(list(pool.values()), budget_mb=budget_mb)
    assert len(set(chosen)) == len(chosen)
    assert all(pool[name].state is READY and not pool[name].pinned for name in chosen)
    assert [pool[name].last_used for name in chosen] == sorted(pool[name].last_used for name in chosen)
    before_the_last = sum(each.memory_mb for name, each in pool.items() if name not in chosen[:-1])
    assert not chosen or before_the_last > budget_mb


@pytest.mark.parametrize(
    ("run_count", "memory_mb", "expected"), [(9, 500, False), (10, 0, True), (0, 500.1, True), (0, 0, False)]
)
def test_a_browser_is_replaced_after_so_many_runs_or_above_such_a_size(
    run_count: int, memory_mb: float, expected: bool
) -> None:
    assert RecyclingRule(run_count=10, memory_mb=500).applies(run_count=run_count, memory_mb=memory_mb) is expected
