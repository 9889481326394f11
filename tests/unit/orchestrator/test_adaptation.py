"""Adaptive bounds of the choice, on synthetic machines whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corun.orchestrator.core.adaptation import LEAST_CONTESTS, Contest, Measured, adapted, contests, regret
from corun.orchestrator.core.configuration import Configuration
from corun.orchestrator.core.terms import Figures, Goal, Strategy

DEFAULTS = Configuration(batching_size=2)
PARALLEL, SEQUENTIAL, BATCHED = Strategy.PARALLEL, Strategy.SEQUENTIAL, Strategy.BATCHED

# Latency relative to sequential, by the number of models.
Truth = Callable[[int], dict[Strategy, float]]


def contended(count: int) -> dict[Strategy, float]:
    """Parallel gains with few models and loses with many: up to 5 it is best, then batched."""
    return {PARALLEL: 0.8 + 0.06 * (count - 3), SEQUENTIAL: 1.0, BATCHED: 0.95}


def as_if_free(_count: int) -> dict[Strategy, float]:
    """What a predictor expects that knows of no contention."""
    return {PARALLEL: 0.8, SEQUENTIAL: 1.0, BATCHED: 0.95}


def figures(latency_ms: float, memory_mb: float = 100.0) -> Figures:
    return Figures(latency_ms, 1000 / latency_ms, memory_mb)


def world(
    seed: int, count: int, *, truth: Truth = contended, expected: Truth = as_if_free, goal: Goal = Goal.LATENCY
) -> list[Contest]:
    """So many comparisons of 2 to 10 models, each strategy measured with a noise of 5 %."""
    draw = random.Random(seed)
    measured = []
    for number in range(count):
        models = draw.randint(2, 10)
        alone = 10.0 * models
        for strategy in Strategy:
            predicted = figures(alone * expected(models)[strategy])
            took = figures(alone * truth(models)[strategy] * draw.lognormvariate(0, 0.05))
            measured.append(Measured(number, models, goal, strategy, 2, predicted, took))
    return contests(measured)


def settled(found: list[Contest], start: Configuration = DEFAULTS, limit: float | None = None) -> Configuration:
    """After as many adaptive updates as change something."""
    current = start
    for _ in range(40):
        following = adapted(found, current=current, defaults=DEFAULTS, memory_limit_mb=limit).suggested
        if following == current:
            return current
        current = following
    raise AssertionError("it never settles")


def mean_regret(found: list[Contest], configuration: Configuration) -> float:
    regrets = [regret(each, configuration, memory_limit_mb=None) for each in found]
    return fmean(each for each in regrets if each is not None)


@pytest.mark.parametrize("goal", [Goal.LATENCY, Goal.THROUGHPUT])
@pytest.mark.parametrize("seed", range(5))
def test_adapted_thresholds_have_less_regret_on_workloads_that_were_held_out(seed: int, goal: Goal) -> None:
    found = settled(world(seed, 60, goal=goal))
    held_out = world(seed + 1000, 200, goal=goal)
    assert found.parallel_threshold is not None
    assert 4 <= found.parallel_threshold <= 6  # from 6 models on batched is truly better
    assert mean_regret(held_out, found) < mean_regret(held_out, DEFAULTS) / 2


@pytest.mark.parametrize("truth", [contended, as_if_free])
def test_where_the_predictor_is_right_adapting_does_no_harm(truth: Truth) -> None:
    held_out = world(999, 300, truth=truth, expected=truth)
    regrets = [mean_regret(held_out, settled(world(seed, 40, truth=truth, expected=truth))) for seed in range(20)]
    assert max(regrets) <= mean_regret(held_out, DEFAULTS) + 0.005
    assert fmean(regrets) <= mean_regret(held_out, DEFAULTS) + 0.001


def test_one_update_moves_by_a_bounded_step_and_says_what_it_gains() -> None:
    found = world(1, 60)
    first = adapted(found, current=DEFAULTS, defaults=DEFAULTS)
    assert first.suggested == replace(DEFAULTS, parallel_threshold=8)  # of at most 10 models
    assert first.default_regret == first.current_regret
    assert first.suggested_regret is not None
    assert first.current_regret is not None
    assert first.suggested_regret < first.current_regret
    assert f"{first.suggested_regret:.1%} with the new values, {first.current_regret:.1%} without" in first.reason


def test_a_threshold_that_is_too_low_is_raised_until_it_bounds_nothing() -> None:
    found = world(2, 60, truth=as_if_free)
    assert settled(found, replace(DEFAULTS, parallel_threshold=2)).parallel_threshold in {None, 9, 10}
    low = replace(DEFAULTS, sequential_threshold=2)
    assert mean_regret(found, settled(found, low)) < 0.2 * mean_regret(found, low)


def test_fixed_values_stay() -> None:
    found = world(3, 60)
    change = adapted(found, current=DEFAULTS, defaults=DEFAULTS, fixed=["parallel_threshold"])
    assert change.suggested.parallel_threshold is None


def test_too_few_workloads_change_nothing_and_say_how_many_there_are() -> None:
    change = adapted(world(1, LEAST_CONTESTS - 1), current=DEFAULTS, defaults=DEFAULTS)
    assert (change.suggested, change.default_regret) == (DEFAULTS, None)
    assert change.reason.startswith("4 workloads were measured under several strategies, 5 are needed")


def in_memory(seed: int, *, factor: float) -> list[Contest]:
    """Parallel is fastest and needs 60 to 160 MB a model, of which `factor` is predicted; the others need half."""
    draw = random.Random(seed)
    measured = []
    for number in range(60):
        models, size = draw.randint(2, 10), draw.uniform(60, 160)
        for strategy in Strategy:
            memory = size * models / (1 if strategy is PARALLEL else 2)
            latency = 10.0 * models * as_if_free(models)[strategy]
            took = figures(latency * draw.lognormvariate(0, 0.03), memory)
            predicted = figures(latency, memory * factor)
            measured.append(Measured(number, models, Goal.LATENCY, strategy, 2, predicted, took))
    return contests(measured)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.6])
def test_a_memory_threshold_follows_what_is_needed_in_fact(factor: float) -> None:
    limit = 600.0
    defaults = replace(DEFAULTS, memory_threshold_mb=limit)
    found, held_out = in_memory(1, factor=factor), in_memory(2, factor=factor)
    threshold = settled(found, defaults, limit).memory_threshold_mb
    assert threshold is not None
    assert threshold == pytest.approx(limit * factor, rel=0.2)

    def lost(configuration: Configuration) -> float:
        regrets = [regret(each, configuration, memory_limit_mb=limit) for each in held_out]
        return fmean(each for each in regrets if each is not None)

    assert lost(replace(defaults, memory_threshold_mb=threshold)) <= lost(defaults)


def test_memory_that_slows_down_is_bounded_without_a_limit() -> None:
    draw = random.Random(5)
    measured = []
    for number in range(40):
        models = draw.randint(2, 10)
        for strategy in Strategy:
            memory = 100.0 * models if strategy is PARALLEL else 50.0 * models
            latency = 10.0 * models * as_if_free(models)[strategy]
            swapped = 3.0 if memory > 600 else 1.0
            took = figures(latency * swapped * draw.lognormvariate(0, 0.03), memory)
            measured.append(Measured(number, models, Goal.LATENCY, strategy, 2, figures(latency, memory), took))
    found = settled(contests(measured))
    assert mean_regret(contests(measured), found) < 0.1 * mean_regret(contests(measured), DEFAULTS)


def test_a_group_size_that_was_measured_better_is_taken() -> None:
    draw = random.Random(4)
    measured = []
    for number in range(30):
        models = draw.randint(5, 10)
        for strategy, size, share in ((SEQUENTIAL, 1, 1.0), (BATCHED, 2, 0.95), (BATCHED, 4, 0.7)):
            latency = 10.0 * models * share
            took = figures(latency * draw.lognormvariate(0, 0.03))
            measured.append(Measured(number, models, Goal.LATENCY, strategy, size, figures(latency), took))
    assert settled(contests(measured)).batching_size == 4


def test_the_choice_of_a_contest_is_the_one_that_the_predictor_would_make() -> None:
    ways = {
        (PARALLEL, 0): (50.0, 80.0, 400.0),
        (SEQUENTIAL, 0): (60.0, 40.0, 100.0),
        (BATCHED, 2): (55.0, 60.0, 200.0),
    }
    measured = [
        Measured("w", 3, Goal.LATENCY, strategy, size, figures(predicted, memory), figures(took, memory))
        for (strategy, size), (predicted, took, memory) in ways.items()
    ]
    (contest,) = contests(measured)

    def of(**bounds: float) -> float | None:
        return regret(contest, replace(DEFAULTS, **bounds), memory_limit_mb=None)  # type: ignore[arg-type]

    assert of() == pytest.approx(80 / 40 - 1)  # parallel is expected to be fastest
    assert of(parallel_threshold=2) == pytest.approx(60 / 40 - 1)  # then batched
    assert of(sequential_threshold=2) == 0
    assert of(memory_threshold_mb=300) == pytest.approx(60 / 40 - 1)
    assert of(memory_threshold_mb=50) == 0  # nothing fits: what needs least
    assert of(batching_size=3) is None  # was not measured


def test_what_was_not_predicted_or_not_compared_is_no_contest() -> None:
    one = Measured("w", 3, Goal.LATENCY, PARALLEL, 3, figures(50), figures(60))
    assert contests([one, replace(one, measured=figures(70))]) == []
    assert contests([one, replace(one, strategy=SEQUENTIAL, predicted=None)]) == []
    assert len(contests([one, replace(one, strategy=SEQUENTIAL)])) == 1


@settings(max_examples=40)
@given(
    current=st.builds(
        Configuration,
        batching_size=st.integers(1, 8),
        parallel_threshold=st.none() | st.integers(0, 64),
        sequential_threshold=st.none() | st.integers(0, 64),
        memory_threshold_mb=st.none() | st.floats(1, 1e6),
    ),
    seed=st.integers(0, 3),
)
def test_an_update_never_has_more_regret_and_never_moves_far(current: Configuration, seed: int) -> None:
    found = world(seed, 12)
    change = adapted(found, current=current, defaults=DEFAULTS)
    if change.suggested != current:
        assert change.suggested_regret is not None
        assert change.current_regret is not None
        assert change.suggested_regret < change.current_regret
    most = max(each.model_count for each in found)
    for before, after in (
        (current.parallel_threshold, change.suggested.parallel_threshold),
        (current.sequential_threshold, change.suggested.sequential_threshold),
    ):
        assert abs((most if before is None else min(most, before)) - (most if after is None else min(most, after))) <= 2
