"""How long a caller keeps its right to its browsers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corun.resource_pool.core.lease import LeaseTerm

START, TTL = 1000.0, 60.0


def term() -> LeaseTerm:
    return LeaseTerm(lease_id="l1", purpose="a test", seats=(), granted_at=START, ttl_seconds=TTL)


def test_a_lease_lasts_for_its_time_to_live_without_a_sign_of_its_holder() -> None:
    lease = term()
    assert not lease.has_expired(START + TTL - 0.001)
    assert lease.has_expired(START + TTL)


def test_a_step_may_take_its_time_and_the_time_to_live_begins_after_it() -> None:
    lease = term()
    assert lease.renew(START + 10, step_seconds=300)
    assert not lease.has_expired(START + 10 + 300 + TTL - 0.001)
    assert lease.has_expired(START + 10 + 300 + TTL)


def test_a_short_step_does_not_take_back_what_a_long_one_beside_it_was_given() -> None:
    lease = term()
    lease.renew(START, step_seconds=300)
    lease.renew(START + 1)
    assert lease.expires_at == START + 300 + TTL


def test_a_lease_that_ran_out_cannot_be_renewed() -> None:
    lease = term()
    assert not lease.renew(START + TTL)
    assert lease.has_expired(START + TTL)


def test_a_lease_that_was_ended_is_over_at_once() -> None:
    lease = term()
    lease.ended = "its browser was needed"
    assert lease.has_expired(START)
    assert not lease.renew(START)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 500)), max_size=20))
def test_who_gets_on_with_its_work_in_time_never_loses_its_lease(steps: list[tuple[float, float]]) -> None:
    lease, now = term(), START
    for pause, step in steps:  # every pause is shorter than the time to live
        now += pause
        assert lease.renew(now, step_seconds=step)
        now += step
        assert not lease.has_expired(now)
