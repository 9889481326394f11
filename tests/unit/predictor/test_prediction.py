from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.prediction import Prediction, StrategyPrediction, predict
from corun.predictor.core.recommendation import recommend
from corun.predictor.core.workload import Environment, Goal, ModelConfig, Place, Platform, Strategy, Workload

Make = Callable[..., Workload]
Runs = Callable[..., Lesson]


def by_strategy(prediction: Prediction) -> dict[Strategy, StrategyPrediction]:
    return {each.strategy: each for each in prediction.predictions}


@pytest.fixture
def unbalanced(runs: Runs) -> Knowledge:
    """One long model and three short ones, at both widths; 0.15 + 0.85 / width."""
    times = {"long": 1500.0, "s1": 100.0, "s2": 100.0, "s3": 100.0}
    return Knowledge().learned(
        [runs(name, *[time * part] * 3, width=w) for name, time in times.items() for w, part in ((1, 1), (2, 0.575))]
    )


def test_an_unbalanced_set_is_faster_one_after_another(
    unbalanced: Knowledge, workload: Make, two_cores: Environment
) -> None:
    prediction = predict(unbalanced, workload(("long", 1), ("s1", 1), ("s2", 1), ("s3", 1)), two_cores, batching_size=2)
    best = recommend(prediction, Goal.LATENCY)
    assert best.strategy is Strategy.SEQUENTIAL
    assert best.tied == (Strategy.SEQUENTIAL,)
    assert best.reason.startswith("sequential: 1,039 ms expected against ")  # 0.575 x 1,800 ms, and 4 ms of dispatch


def test_a_balanced_set_is_a_tie_and_the_reason_says_so(workload: Make, two_cores: Environment, runs: Runs) -> None:
    times = {1: 94.0, 2: 50.0}  # two narrow runs at once with 7 % contention take what two wide ones take in turn
    knowledge = Knowledge().learned([runs(name, *[t] * 3, width=w) for name in "ab" for w, t in times.items()])
    best = recommend(predict(knowledge, workload(("a", 1), ("b", 1)), two_cores, batching_size=2), Goal.LATENCY)
    assert set(best.tied) == set(Strategy)
    assert best.tied[0] is best.strategy
    assert "5% noise" in best.reason


def test_the_terms_add_up_to_the_latency(unbalanced: Knowledge, workload: Make, two_cores: Environment) -> None:
    prediction = predict(unbalanced, workload(("long", 1), ("s1", 1), ("s1", 2)), two_cores, batching_size=2)
    for each in prediction.predictions:
        parts = each.composition
        added = parts.solo_ms + parts.contention_ms + parts.other_programs_ms + parts.dispatch_ms
        assert added == pytest.approx(each.latency_ms.value)
        assert parts.memory.total_mb == pytest.approx(each.memory_mb.value)
        assert len(parts.solo_times) == sum(len(stage.runs) for stage in each.plan.stages)


def test_throughput_is_items_over_latency_with_the_interval_turned_round(
    unbalanced: Knowledge, workload: Make, two_cores: Environment
) -> None:
    found = predict(unbalanced, workload(("long", 3), ("s1", 2)), two_cores, batching_size=2).predictions[0]
    assert found.throughput.value == pytest.approx(5000 / found.latency_ms.value)
    assert found.throughput.low == pytest.approx(5000 / found.latency_ms.high)


def test_memory_is_least_in_one_lane_where_each_model_was_measured_alone(
    workload: Make, two_cores: Environment, runs: Runs
) -> None:
    knowledge = Knowledge().learned([runs(name, 10, 10, 10, memory_mb=200) for name in "abc"])
    prediction = predict(knowledge, workload(("a", 1), ("b", 1), ("c", 1)), two_cores, batching_size=2)
    figures = by_strategy(prediction)
    # Alone, each is a lane and a session; in parallel there are three lanes, narrower by one thread each, and part of
    # the runtime and of the scratch space is there once.
    assert figures[Strategy.PARALLEL].memory_mb.value == pytest.approx(3 * (200 - 5) - 2 * 50, rel=0.02)
    assert figures[Strategy.SEQUENTIAL].memory_mb.value < figures[Strategy.PARALLEL].memory_mb.value - 50
    assert recommend(prediction, Goal.MEMORY).strategy is Strategy.SEQUENTIAL


def test_models_of_different_sizes_tell_the_lane_from_the_weights(place: Place) -> None:
    sizes = {"a": 10, "b": 50, "c": 100, "d": 400}
    features = {name: GraphFeatures(1e9, size * 10**6, 0, 10, dynamic_batch=True) for name, size in sizes.items()}
    measured = tuple(Observation(name, 1, 2, 10.0, 80 + 2.0 * size) for name, size in sizes.items())
    calibration = Knowledge().learned([Lesson(place, measured, features)]).calibration(place)
    assert calibration.lane_mb == pytest.approx(70, rel=0.05)  # 80 MB less two threads
    assert calibration.weight_factor == pytest.approx(2, rel=0.05)


def test_runs_on_webgpu_take_turns_on_the_device(workload: Make, bert: GraphFeatures) -> None:
    place = Place(Platform.WEBGPU, "firefox")
    lesson = Lesson(place, tuple(Observation(name, 1, 1, 100.0) for name in "ab" for _ in range(3)))
    prediction = predict(
        Knowledge().learned([lesson]), workload(("a", 1), ("b", 1)), Environment(place, 4), batching_size=2
    )
    figures = by_strategy(prediction)
    assert figures[Strategy.PARALLEL].latency_ms.value >= figures[Strategy.SEQUENTIAL].latency_ms.value >= 200


def test_new_models_are_suggested_for_profiling_in_the_widest_and_the_narrowest_lane_and_at_two_batch_sizes(
    workload: Make, two_cores: Environment, bert: GraphFeatures, runs: Runs
) -> None:
    knowledge = Knowledge().learned([Lesson(features={"bert": bert}), runs("half", 9, width=2)])
    prediction = predict(knowledge, workload(("bert", 4), ("half", 1), ("bert", 4)), two_cores, batching_size=2)
    found = {(each.model_name, each.batch_size, each.lane_width) for each in prediction.suggested_profiles}
    assert found == {("bert", 4, 2), ("bert", 4, 1), ("bert", 1, 2), ("half", 1, 1)}
    known = knowledge.learned([runs("bert", 90, batch=4, width=2), runs("bert", 99, batch=4, width=1)])
    for asked, missing in ((4, {("bert", 1, 2)}), (8, {("bert", 8, 2)}), (1, set())):
        prediction = predict(known, workload(("bert", asked)), two_cores, batching_size=2)
        found = {(each.model_name, each.batch_size, each.lane_width) for each in prediction.suggested_profiles}
        assert found == missing


def test_nothing_is_suggested_when_everything_rests_on_observations(
    unbalanced: Knowledge, workload: Make, two_cores: Environment
) -> None:
    assert predict(unbalanced, workload(("long", 1), ("s1", 4)), two_cores, batching_size=2).suggested_profiles == ()


def test_the_width_of_a_lane_is_no_reason_to_profile_on_webgpu(workload: Make, bert: GraphFeatures) -> None:
    place = Place(Platform.WEBGPU, "chromium")
    new = Knowledge().learned([Lesson(features={"bert": bert})])
    environment = Environment(place, 2)
    found = predict(new, workload(("bert", 1), ("bert", 1)), environment, batching_size=2).suggested_profiles
    assert {(each.batch_size, each.lane_width) for each in found} == {(1, 2), (2, 2)}
    seen = new.learned([Lesson(place, (Observation("bert", 1, 1, 9000),))])
    assert predict(seen, workload(("bert", 1)), environment, batching_size=2).suggested_profiles == ()


lessons = st.builds(
    Lesson,
    st.just(Place(Platform.WASM, "chromium")),
    st.lists(
        st.builds(
            Observation,
            st.sampled_from("ab"),
            st.integers(1, 65536),
            st.integers(1, 64),
            st.floats(5e-324, 86_400_000, exclude_min=True),
            st.none() | st.floats(5e-324, 1e7, exclude_min=True),
        ),
        max_size=30,
    ).map(tuple),
    st.just({name: GraphFeatures(1e9, 10**8, 1e7, 100, dynamic_batch=name != "c") for name in "abc"}),
)
configs = st.lists(st.builds(ModelConfig, st.sampled_from("abc"), st.integers(1, 1024)), min_size=1, max_size=8)


@given(lessons, configs, st.integers(1, 1024), st.integers(1, 64), st.sampled_from(Goal))
def test_whatever_was_learnt_every_value_is_finite_and_strictly_inside_its_interval(
    lesson: Lesson, models: list[ModelConfig], core_count: int, batching_size: int, goal: Goal
) -> None:
    environment = Environment(Place(Platform.WASM, "chromium"), core_count)
    knowledge = Knowledge().learned([lesson])
    prediction = predict(knowledge, Workload(tuple(models)), environment, batching_size=batching_size)
    for each in prediction.predictions:
        for estimate in (each.latency_ms, each.throughput, each.memory_mb):
            assert 0 < estimate.low < estimate.value < estimate.high < float("inf")
    best = recommend(prediction, goal)
    assert best.tied[0] is best.strategy
