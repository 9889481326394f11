"""When the choice tries an alternative."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.choice import Choice
from corun.orchestrator.core.exploration import Exploration, Interval
from corun.orchestrator.core.terms import Strategy

BEST = Choice(Strategy.PARALLEL, "it is best", automatic=True)
NEAR = {
    Strategy.PARALLEL: Interval(80, 100),
    Strategy.SEQUENTIAL: Interval(95, 120),
    Strategy.BATCHED: Interval(101, 130),
}


def test_without_a_rate_the_best_runs() -> None:
    exploration = Exploration(0.0)
    assert all(exploration.tried(BEST, NEAR) is BEST for _ in range(100))


def test_a_share_of_choices_tries_an_alternative_that_overlaps_and_no_other() -> None:
    exploration = Exploration(0.25, seed=1)
    tried = [exploration.tried(BEST, NEAR) for _ in range(2000)]
    counts = Counter(choice.strategy for choice in tried)
    assert set(counts) == {Strategy.PARALLEL, Strategy.SEQUENTIAL}  # batched is worse for certain
    assert 420 < counts[Strategy.SEQUENTIAL] < 580  # 500 expected, with a standard deviation of 19
    assert all(choice.explored is (choice.strategy is not Strategy.PARALLEL) for choice in tried)
    reason = next(choice.reason for choice in tried if choice.explored)
    assert reason == "exploring: sequential is tried, which may be as good as parallel; it is best"


def test_the_same_seed_makes_the_same_choices() -> None:
    first, second = Exploration(0.5, seed=7), Exploration(0.5, seed=7)
    assert [first.tried(BEST, NEAR) for _ in range(50)] == [second.tried(BEST, NEAR) for _ in range(50)]


def test_what_the_caller_asks_for_and_what_has_no_alternative_runs() -> None:
    exploration = Exploration(1.0)
    asked = Choice(Strategy.PARALLEL, "asked for", automatic=False)
    assert exploration.tried(asked, NEAR) is asked
    assert exploration.tried(BEST, {Strategy.PARALLEL: NEAR[Strategy.PARALLEL]}) is BEST
    assert exploration.tried(BEST, {}) is BEST


@given(st.tuples(*[st.floats(0, 100)] * 4))
def test_intervals_overlap_when_they_have_a_point_in_common(ends: tuple[float, float, float, float]) -> None:
    one, other = Interval(*sorted(ends[:2])), Interval(*sorted(ends[2:]))
    expected = max(one.low, other.low) <= min(one.high, other.high)
    assert one.overlaps(other) is other.overlaps(one) is expected
