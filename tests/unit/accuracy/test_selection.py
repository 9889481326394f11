"""Whether choices of strategies were good."""

from __future__ import annotations

import pytest

from corun.accuracy.core.report import selection_document
from corun.accuracy.core.selection import select
from corun.orchestrator.core.terms import Strategy
from tests.unit.accuracy.points import held_out

PARALLEL, SEQUENTIAL, BATCHED = Strategy.PARALLEL, Strategy.SEQUENTIAL, Strategy.BATCHED

WORKLOADS = [
    # Parallel is 20 % slower than sequential, batched 50 %.
    held_out(PARALLEL, {PARALLEL: [120.0], SEQUENTIAL: [100.0], BATCHED: [150.0]}),
    held_out(SEQUENTIAL, {PARALLEL: [200.0], SEQUENTIAL: [100.0], BATCHED: [101.0]}),
]


def test_regret_is_how_much_longer_than_the_best_the_choice_took() -> None:
    chosen = select(WORKLOADS)
    assert chosen.recommended.best_or_tied == 0.5
    assert chosen.recommended.mean_regret == pytest.approx(0.1)
    assert chosen.recommended.worst_regret == pytest.approx(0.2)


def test_choices_are_held_against_always_taking_the_same_strategy() -> None:
    chosen = select(WORKLOADS)
    assert chosen.fixed[PARALLEL].mean_regret == pytest.approx(0.6)
    assert chosen.fixed[SEQUENTIAL].mean_regret == 0.0
    assert chosen.fixed[SEQUENTIAL].best_or_tied == 1.0
    # 1 % is within the 2 % below which strategies are not told apart; 50 % is not.
    assert chosen.fixed[BATCHED].best_or_tied == 0.5
    assert chosen.best_fixed is SEQUENTIAL


def test_a_choice_within_the_noise_of_the_repeats_is_as_good_as_the_best() -> None:
    # Deviations from the median of 110: 10, 0, 10; scaled 14.8, which is 13 % of it.
    noisy = held_out(PARALLEL, {PARALLEL: [100.0, 110.0, 120.0], SEQUENTIAL: [105.0] * 3, BATCHED: [300.0] * 3})
    chosen = select([noisy]).recommended
    assert chosen.best_or_tied == 1.0
    assert chosen.mean_regret == pytest.approx(5 / 105)


def test_the_document_has_the_choices_and_the_fixed_ones_by_name() -> None:
    document = selection_document(WORKLOADS)
    assert (document["best_or_tied"], document["best_fixed"], document["workload_count"]) == (0.5, "sequential", 2)
    assert set(document["fixed"]) == {"parallel", "sequential", "batched"}
    assert document["fixed"]["batched"]["worst_regret"] == pytest.approx(0.5)
