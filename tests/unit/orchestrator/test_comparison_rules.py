"""Medians, noise, ties and gain, against figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.choice import best_of
from corun.orchestrator.core.comparison import (
    improvement_percent,
    judge,
    median_figures,
    noise,
    rotated,
    typical_round,
)
from corun.orchestrator.core.terms import Figures, Goal, Strategy

PARALLEL, SEQUENTIAL, BATCHED = Strategy.PARALLEL, Strategy.SEQUENTIAL, Strategy.BATCHED


def latency(value: float) -> Figures:
    return Figures(latency_ms=value, throughput_items_per_second=1000 / value, memory_mb=5.0)


def latencies(*values: float) -> list[Figures]:
    return [latency(value) for value in values]


def memory(value: float) -> Figures:
    return Figures(latency_ms=1.0, throughput_items_per_second=1.0, memory_mb=value)


def test_each_figure_has_a_median_of_its_own() -> None:
    rounds = [Figures(1.0, 30.0, 5.0), Figures(2.0, 10.0, 9.0), Figures(3.0, 20.0, 7.0)]
    assert median_figures(rounds) == Figures(2.0, 20.0, 7.0)


def test_noise_is_the_scaled_median_deviation_over_the_median() -> None:
    # Median 100; deviations 10, 0, 20, 5, 5 have the median 5; 1.4826 x 5 / 100.
    assert noise(latencies(90, 100, 120, 95, 105), Goal.LATENCY) == pytest.approx(0.07413)


@pytest.mark.parametrize("rounds", [latencies(50), latencies(50, 50, 50), [memory(0.0), memory(0.0), memory(4.0)]])
def test_one_round_equal_rounds_and_a_median_of_zero_have_no_noise(rounds: list[Figures]) -> None:
    assert noise(rounds, Goal.MEMORY) == 0.0


def test_the_median_of_two_rounds_is_represented_by_the_lower_one() -> None:
    assert typical_round(latencies(30, 10, 40, 20), Goal.LATENCY) == 3  # 20 is the lower median
    assert typical_round(latencies(7), Goal.LATENCY) == 0


@pytest.mark.parametrize(
    ("best", "other", "is_tied"),
    [
        ([100.0], [109.0], True),  # one round says nothing of its noise: 10 % is taken for it
        ([100.0], [111.0], False),
        ([100.0] * 9, [101.9] * 9, True),  # never closer than 2 %
        ([100.0] * 9, [103.0] * 9, False),
        ([100.0, 120.0, 80.0], [130.0, 156.0, 104.0], False),  # 26 % behind in each round, however they wander
        ([100.0, 120.0, 80.0], [130.0, 100.0, 95.0], True),
    ],
)
def test_a_tie_is_what_rounds_cannot_tell_apart(best: list[float], other: list[float], is_tied: bool) -> None:
    verdict = judge({PARALLEL: latencies(*best), BATCHED: latencies(*other)}, recommended=PARALLEL, goal=Goal.LATENCY)
    assert verdict.best is PARALLEL
    assert (BATCHED in verdict.tied) is is_tied


def test_nothing_but_zero_ties_with_a_best_of_zero() -> None:
    rounds = {PARALLEL: [memory(0.0)] * 3, SEQUENTIAL: [memory(0.0)] * 3, BATCHED: [memory(0.1)] * 3}
    assert judge(rounds, recommended=PARALLEL, goal=Goal.MEMORY).tied == (PARALLEL, SEQUENTIAL)


@pytest.mark.parametrize(
    ("goal", "gain"),
    [
        (Goal.LATENCY, 25.0),  # 90 against a mean of 120
        (Goal.THROUGHPUT, 50.0),  # 12 against a mean of 8
        (Goal.MEMORY, -20.0),  # 60 against a mean of 50
    ],
)
def test_gain_is_positive_when_the_recommended_strategy_beats_the_mean(goal: Goal, gain: float) -> None:
    medians = {PARALLEL: Figures(90.0, 12.0, 60.0), SEQUENTIAL: Figures(150.0, 4.0, 40.0)}
    assert improvement_percent(PARALLEL, medians, goal) == pytest.approx(gain)


def test_there_is_no_gain_over_a_mean_of_zero() -> None:
    assert improvement_percent(PARALLEL, {PARALLEL: memory(0.0), BATCHED: memory(0.0)}, Goal.MEMORY) == 0.0


def test_the_best_has_the_lowest_latency_or_the_highest_throughput() -> None:
    medians = {PARALLEL: Figures(90.0, 4.0, 60.0), SEQUENTIAL: Figures(150.0, 12.0, 40.0)}
    assert [best_of(medians, goal) for goal in Goal] == [PARALLEL, SEQUENTIAL, SEQUENTIAL]


def test_a_recommendation_that_was_not_measured_is_wrong_and_has_no_gain() -> None:
    verdict = judge({PARALLEL: latencies(100, 100)}, recommended=BATCHED, goal=Goal.LATENCY)
    assert (verdict.best, verdict.recommendation_correct) == (PARALLEL, False)
    assert (verdict.improvement_percent, verdict.gain_is_known) == (0.0, False)


def test_a_recommendation_tied_with_the_best_is_right() -> None:
    rounds = {PARALLEL: latencies(100, 100), BATCHED: latencies(101, 101)}
    verdict = judge(rounds, recommended=BATCHED, goal=Goal.LATENCY)
    assert (verdict.best, verdict.tied, verdict.recommendation_correct) == (PARALLEL, (PARALLEL, BATCHED), True)
    assert verdict.improvement_percent == pytest.approx(-0.5 / 100.5 * 100)


@given(items=st.lists(st.integers(), min_size=1, max_size=5, unique=True))
def test_over_as_many_rounds_as_there_are_everyone_has_every_place_once(items: list[int]) -> None:
    rounds = [rotated(items, number) for number in range(len(items))]
    for place in range(len(items)):
        assert sorted(each[place] for each in rounds) == sorted(items)


@given(
    values=st.dictionaries(
        st.sampled_from(Strategy), st.lists(st.floats(0.1, 1e6), min_size=1, max_size=6), min_size=1
    ),
    goal=st.sampled_from(Goal),
    recommended=st.sampled_from(Strategy),
)
def test_the_best_is_always_tied_with_itself(
    values: dict[Strategy, list[float]], goal: Goal, recommended: Strategy
) -> None:
    rounds = {strategy: latencies(*figures) for strategy, figures in values.items()}
    verdict = judge(rounds, recommended=recommended, goal=goal)
    assert verdict.best in verdict.tied
    assert verdict.recommendation_correct == (recommended in verdict.tied)
