"""What fails several times in a row is left alone, for longer each time."""

from __future__ import annotations

from corun.resource_pool.core.breaker import Breaker

NOW = 500.0


def failed(times: int) -> Breaker:
    breaker = Breaker(threshold=3, first_pause_seconds=5.0, longest_pause_seconds=60.0)
    for number in range(times):
        breaker.note_failure(f"cause {number + 1}", NOW)
    return breaker


def test_failures_below_the_threshold_change_nothing() -> None:
    breaker = failed(2)
    assert not breaker.is_open
    assert breaker.allows(NOW)
    assert breaker.retry_at == 0.0


def test_the_failure_that_is_one_too_many_opens_it_for_the_first_pause() -> None:
    breaker = failed(3)
    assert breaker.is_open
    assert breaker.cause == "cause 3"
    assert not breaker.allows(NOW + 4.999)
    assert breaker.allows(NOW + 5.0)


def test_each_failure_after_that_doubles_the_pause_up_to_the_longest() -> None:
    pauses = [failed(times).retry_at - NOW for times in range(3, 9)]
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_even_thousands_of_failures_only_make_the_longest_pause() -> None:
    assert failed(2000).retry_at == NOW + 60.0


def test_a_success_closes_it_and_failures_are_counted_from_the_start() -> None:
    breaker = failed(5)
    breaker.note_success()
    assert not breaker.is_open
    assert (breaker.failure_count, breaker.cause, breaker.retry_at) == (0, "", 0.0)
    breaker.note_failure("again", NOW)
    assert breaker.allows(NOW)


def test_it_stays_open_until_a_success_also_when_it_may_be_tried_again() -> None:
    breaker = failed(3)
    assert breaker.allows(NOW + 6)
    assert breaker.is_open
