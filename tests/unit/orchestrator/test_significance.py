"""The paired test, and when a comparison stops: against Student's t, and on simulated rounds of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from corun.orchestrator.core.comparison import judge
from corun.orchestrator.core.rounds import RoundPolicy, reason_to_stop
from corun.orchestrator.core.significance import paired_difference
from corun.orchestrator.core.terms import Figures, Goal, Strategy

PARALLEL, SEQUENTIAL, BATCHED = Strategy.PARALLEL, Strategy.SEQUENTIAL, Strategy.BATCHED
ADAPTIVE = RoundPolicy.asked(None, None)


def latencies(*values: float) -> list[Figures]:
    return [Figures(value, 1000 / value, 5.0) for value in values]


def test_the_p_value_and_interval_are_those_of_scipys_paired_t_test() -> None:
    best, other = np.array([100.0, 90.0, 120.0, 105.0]), np.array([130.0, 95.0, 160.0, 111.0])
    relative = (other - best) / ((other + best) / 2)
    expected = stats.ttest_1samp(relative, 0.0)
    interval = expected.confidence_interval(0.95)
    found = paired_difference(latencies(*best), latencies(*other), Goal.LATENCY)
    assert found is not None
    assert found.mean == pytest.approx(relative.mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert [found.low, found.high] == pytest.approx([interval.low, interval.high])


def test_more_throughput_is_ahead_and_less_is_behind() -> None:
    fast = [Figures(1.0, 12.0, 1.0)] * 3
    slow = [Figures(1.0, 8.0, 1.0)] * 3
    ahead, behind = paired_difference(slow, fast, Goal.THROUGHPUT), paired_difference(fast, slow, Goal.THROUGHPUT)
    assert ahead is not None
    assert behind is not None
    assert [ahead.mean, behind.mean] == pytest.approx([-0.4, 0.4])


def test_rounds_that_agree_to_the_last_digit_are_no_proof() -> None:
    found = paired_difference(latencies(100, 100), latencies(103, 103), Goal.LATENCY)
    assert found is not None
    assert found.p_value > 0.05  # the standard deviation is taken to be 2 % at least


def test_one_round_tells_nothing() -> None:
    assert paired_difference(latencies(100), latencies(200), Goal.LATENCY) is None


def compare(truths: dict[Strategy, float], generator: np.random.Generator, noise: float) -> tuple[int, set[Strategy]]:
    """Simulated rounds, drift that slows all alike included, until there is a reason to stop."""
    rounds: dict[Strategy, list[Figures]] = {each: [] for each in truths}
    done = 0
    while reason_to_stop(done, rounds, policy=ADAPTIVE, goal=Goal.LATENCY) is None:
        drift = generator.lognormal(0, 0.1)
        for strategy, truth in truths.items():
            rounds[strategy] += latencies(truth * drift * generator.lognormal(0, noise))
        done += 1
    return done, set(judge(rounds, recommended=PARALLEL, goal=Goal.LATENCY).tied)


def test_equal_strategies_are_seldom_told_apart() -> None:
    generator = np.random.default_rng(7)
    wrong = sum(len(compare(dict.fromkeys(Strategy, 100.0), generator, noise=0.06)[1]) < 3 for _ in range(400))
    print(f"equal strategies told apart in {wrong / 4:.1f} % of 400 comparisons")
    # 5 % is the level; looking after every round and choosing the best afterwards cost some more.
    assert wrong <= 0.1 * 400


def test_a_clear_difference_is_found_in_few_rounds() -> None:
    generator = np.random.default_rng(8)
    found = [compare({PARALLEL: 100.0, SEQUENTIAL: 150.0, BATCHED: 180.0}, generator, noise=0.06) for _ in range(200)]
    mean_rounds = np.mean([done for done, _ in found])
    right = sum(tied == {PARALLEL} for _, tied in found)
    print(f"1.5 times slower: right in {right / 2:.1f} %, after {mean_rounds:.1f} rounds of 10")
    assert right >= 0.95 * 200
    assert mean_rounds < 6


def test_a_single_strategy_that_is_left_needs_no_more_than_the_fewest_rounds() -> None:
    assert reason_to_stop(2, {PARALLEL: latencies(1, 2)}, policy=ADAPTIVE, goal=Goal.LATENCY) is None
    assert reason_to_stop(3, {PARALLEL: latencies(1, 2, 3)}, policy=ADAPTIVE, goal=Goal.LATENCY) == (
        "only one strategy is left"
    )


def test_a_comparison_of_which_nothing_is_left_stops() -> None:
    assert reason_to_stop(1, {}, policy=ADAPTIVE, goal=Goal.LATENCY) == "every strategy failed"


def test_rounds_that_were_asked_for_are_run_whatever_they_say() -> None:
    clear = {PARALLEL: latencies(*[100.0] * 5), BATCHED: latencies(*[200.0] * 5)}
    policy = RoundPolicy.asked(6, None)
    assert reason_to_stop(5, clear, policy=policy, goal=Goal.LATENCY) is None
    assert reason_to_stop(6, clear, policy=policy, goal=Goal.LATENCY) == "6 were asked for"
