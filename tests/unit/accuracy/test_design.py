"""Which workloads are drawn."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.accuracy.core.design import Workload, draw_design
from corun.accuracy.core.rounds import blocks, connections_for
from corun.orchestrator.core.terms import Strategy

NAMES = ("a", "b", "c", "d", "e", "f")


def names_of(workload: Workload) -> tuple[str, ...]:
    return tuple(sorted(name for name, _ in workload))


@given(seed=st.integers(), train=st.integers(3, 30), test=st.integers(2, 15))
def test_what_is_held_out_is_held_out(seed: int, train: int, test: int) -> None:
    design = draw_design(NAMES, seed=seed, train_count=train, test_count=test)
    trained = {names_of(workload) for workload, _ in design.training}
    held_out = [names_of(workload) for workload in design.held_out]
    assert (len(design.training), len(held_out)) == (train, test)
    assert not trained & set(held_out)
    assert len(set(held_out)) == test
    assert not any(design.left_out in names for names in trained)
    assert not any(design.left_out in names_of(workload) for workload in design.seen)
    assert all(design.left_out in names_of(workload) for workload in design.unseen)
    assert design.unseen
    assert design.seen
    for workload in [workload for workload, _ in design.training] + list(design.held_out):
        assert 2 <= len(workload) <= 6
        assert all(1 <= batch_size <= 8 for _, batch_size in workload)


def test_the_same_seed_draws_the_same_and_another_one_something_else() -> None:
    one = draw_design(NAMES, seed=1, train_count=6, test_count=6)
    assert one == draw_design(tuple(reversed(NAMES)), seed=1, train_count=6, test_count=6)
    assert one != draw_design(NAMES, seed=2, train_count=6, test_count=6)


def test_training_goes_through_the_strategies_in_turn() -> None:
    design = draw_design(NAMES, seed=3, train_count=9, test_count=3)
    assert Counter(strategy for _, strategy in design.training) == dict.fromkeys(Strategy, 3)


def test_a_third_of_what_is_held_out_has_the_model_that_was_left_out() -> None:
    design = draw_design(NAMES, seed=3, train_count=9, test_count=9)
    assert (len(design.seen), len(design.unseen)) == (6, 3)


def test_too_few_models_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 different models are needed; received 2"):
        draw_design(["a", "b", "a"], seed=1, train_count=3, test_count=2)


def test_more_workloads_than_there_are_combinations_are_refused() -> None:
    # Two models make 25 combinations of 2 to 6: 3 + 4 + 5 + 6 + 7.
    with pytest.raises(ValueError, match="too few models"):
        draw_design(["a", "b", "c"], seed=1, train_count=3, test_count=60)


def test_workloads_are_measured_in_blocks_whose_points_find_a_browser_each() -> None:
    assert [len(block) for block in blocks("abcdefg", max_connections=10)] == [3, 3, 1]
    assert [len(block) for block in blocks("ab", max_connections=1)] == [1, 1]


@pytest.mark.parametrize(("memory_mb", "connections"), [(2_000, 3), (8_000, 6), (64_000, 12)])
def test_as_many_browsers_as_half_of_the_memory_holds(memory_mb: float, connections: int) -> None:
    # 8,000 / 2 / 600 = 6.7
    assert connections_for(memory_mb) == connections
