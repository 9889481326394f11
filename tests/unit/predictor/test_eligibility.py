from __future__ import annotations

import pytest

from corun.predictor.core.eligibility import StrategyConfiguration
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import Lesson, Observation
from corun.predictor.core.prediction import Prediction, predict
from corun.predictor.core.recommendation import recommend
from corun.predictor.core.workload import Environment, Goal, ModelConfig, Place, Strategy, Workload


@pytest.fixture
def three_models(place: Place) -> Prediction:
    """Parallel is fastest, for nothing is gained by a second thread; it needs three lanes."""
    runs = tuple(Observation(name, 1, width, 100.0, 200.0) for name in "abc" for width in (1, 2) for _ in range(3))
    workload = Workload(tuple(ModelConfig(name, 1) for name in "abc"))
    return predict(Knowledge().learned([Lesson(place, runs)]), workload, Environment(place, 3), batching_size=2)


def memory_of(prediction: Prediction, strategy: Strategy) -> float:
    return next(each.memory_mb.value for each in prediction.predictions if each.strategy is strategy)


def test_without_bounds_the_fastest_is_recommended(three_models: Prediction) -> None:
    assert recommend(three_models, Goal.LATENCY).strategy is Strategy.PARALLEL


def test_parallel_is_eligible_for_as_many_models_as_the_threshold(three_models: Prediction) -> None:
    at = recommend(three_models, Goal.LATENCY, StrategyConfiguration(parallel_threshold=3))
    over = recommend(three_models, Goal.LATENCY, StrategyConfiguration(parallel_threshold=2))
    assert at.strategy is Strategy.PARALLEL
    assert over.strategy is Strategy.BATCHED
    assert "parallel not eligible: 3 models over the parallel threshold of 2" in over.reason
    assert Strategy.PARALLEL not in over.tied


def test_above_the_sequential_threshold_only_sequential_is_left(three_models: Prediction) -> None:
    at = recommend(three_models, Goal.LATENCY, StrategyConfiguration(sequential_threshold=3))
    over = recommend(three_models, Goal.LATENCY, StrategyConfiguration(sequential_threshold=2))
    assert at.strategy is Strategy.PARALLEL
    assert over.strategy is Strategy.SEQUENTIAL
    assert over.tied == (Strategy.SEQUENTIAL,)
    assert over.reason.endswith("only sequential eligible: 3 models over the sequential threshold of 2")


def test_what_needs_more_memory_than_the_threshold_is_not_eligible(three_models: Prediction) -> None:
    # Batched has lanes of two widths here, as many as parallel.
    limit = memory_of(three_models, Strategy.PARALLEL) - 1
    found = recommend(three_models, Goal.LATENCY, StrategyConfiguration(memory_threshold_mb=limit))
    assert found.strategy is Strategy.SEQUENTIAL
    assert "parallel not eligible: " in found.reason
    assert "warning" not in found.reason


def test_where_nothing_fits_the_smallest_is_recommended_with_a_warning(three_models: Prediction) -> None:
    found = recommend(three_models, Goal.LATENCY, StrategyConfiguration(memory_threshold_mb=1))
    assert found.strategy is Strategy.SEQUENTIAL
    assert "warning: nothing eligible fits into 1 MB; sequential needs least" in found.reason
