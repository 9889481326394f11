"""What one would predict without a cost model."""

from __future__ import annotations

import pytest

from corun.accuracy.core.baselines import baselines, history_mean, linear_regression, naive_composition
from corun.accuracy.core.report import baseline_scores
from corun.orchestrator.core.terms import Figures, Strategy
from tests.unit.accuracy.points import execution, features, point

PARALLEL, SEQUENTIAL, BATCHED = Strategy.PARALLEL, Strategy.SEQUENTIAL, Strategy.BATCHED


def test_history_is_the_mean_of_the_same_strategy() -> None:
    predict = history_mean([execution(PARALLEL, 40.0), execution(PARALLEL, 80.0), execution(SEQUENTIAL, 10.0)])
    # 4,000 / 40 = 100 and 4,000 / 80 = 50 items/s
    assert predict(features(PARALLEL)) == Figures(60.0, 75.0, 80.0)
    assert predict(features(SEQUENTIAL)).latency_ms == 10.0


def test_the_naive_composition_adds_solo_times_or_takes_the_longest() -> None:
    # 10 + 30 ms one after another, 30 ms side by side, for 4 items
    assert naive_composition(features(SEQUENTIAL)) == Figures(40.0, 100.0, 100.0)
    assert naive_composition(features(PARALLEL)) == Figures(30.0, 4000 / 30, 100.0)


def test_the_regression_finds_what_is_linear_in_the_features() -> None:
    # Twice the sum of the solo times.
    training = [
        execution(strategy, 2 * sum(solo), solo_ms=solo)
        for solo in ((10.0, 30.0), (5.0, 5.0), (40.0, 20.0), (7.0, 50.0))
        for strategy in Strategy
    ]
    predicted = linear_regression(training)(features(PARALLEL, solo_ms=(12.0, 21.0)))
    assert predicted.latency_ms == pytest.approx(66.0)
    assert predicted.memory_mb == pytest.approx(80.0)


def test_baselines_are_scored_on_the_same_points() -> None:
    training = [execution(PARALLEL, 60.0), execution(SEQUENTIAL, 90.0), execution(BATCHED, 90.0)]
    scores = baseline_scores(training, [point(PARALLEL, 100.0, [50.0]), point(PARALLEL, 100.0, [40.0], unseen=True)])
    assert list(scores) == list(baselines(training))
    # 60 against 50, and against 40
    assert scores["history_mean"]["latency"]["seen"]["mean"] == pytest.approx(0.2)
    assert scores["history_mean"]["latency"]["unseen"]["mean"] == pytest.approx(0.5)
    # 30 against 50
    assert scores["naive_composition"]["latency"]["seen"]["mean"] == pytest.approx(0.4)
    assert scores["naive_composition"]["latency"]["seen"]["coverage"] is None
