from __future__ import annotations

from collections.abc import Callable

import pytest

from corun.errors import ModelNeverObserved
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.solo import Basis, SoloTime, solo_time
from corun.predictor.core.workload import Place, Platform

Runs = Callable[..., Lesson]


def solo(knowledge: Knowledge, place: Place, name: str, *, batch: int = 1, width: int = 2) -> SoloTime:
    return solo_time(knowledge, place, model_name=name, batch_size=batch, lane_width=width)


def factor(found: SoloTime) -> float:
    return found.estimate.high / found.estimate.value


def test_repeated_runs_give_their_middle_with_a_narrow_interval(place: Place, runs: Runs) -> None:
    found = solo(Knowledge().learned([runs("bert", 98, 100, 103)]), place, "bert")
    assert found.time_ms == pytest.approx(100.3, abs=0.1)
    assert (found.basis, found.observation_count) == (Basis.OBSERVED, 3)
    assert found.estimate.low < 100 < found.estimate.high
    assert factor(found) < 1.2


def test_a_width_never_observed_follows_the_assumed_speed_up_with_a_wider_interval(place: Place, runs: Runs) -> None:
    knowledge = Knowledge().learned([runs("bert", 60, 60, 60, width=2)])
    narrow = solo(knowledge, place, "bert", width=1)
    assert narrow.time_ms == pytest.approx(100, rel=0.01)  # Amdahl with a parallel fraction of 0.8
    assert narrow.basis is Basis.OBSERVED
    assert factor(narrow) > factor(solo(knowledge, place, "bert", width=2))


def test_a_width_never_observed_follows_the_speed_up_seen_on_other_models(place: Place, runs: Runs) -> None:
    others = [runs(name, time * t, width=w) for name, time in (("a", 1), ("b", 3)) for w, t in ((1, 20), (2, 12))]
    knowledge = Knowledge().learned([*others, runs("bert", 50, width=1)])
    assert solo(knowledge, place, "bert", width=2).time_ms == pytest.approx(30, rel=0.01)
    alone = Knowledge().learned([runs("bert", 50, width=1)])
    assert factor(solo(knowledge, place, "bert", width=2)) < factor(solo(alone, place, "bert", width=2))


def test_a_model_observed_at_two_widths_follows_its_own_speed_up(place: Place, runs: Runs) -> None:
    # 0.1 + 0.9 / width of 100 ms.
    knowledge = Knowledge().learned([runs("bert", 100, width=1), runs("bert", 55, width=2)])
    assert solo(knowledge, place, "bert", width=4).time_ms == pytest.approx(32.5, rel=0.01)


def test_a_model_never_seen_is_estimated_from_its_graph_within_a_factor_of_three(
    place: Place, bert: GraphFeatures
) -> None:
    found = solo(Knowledge().learned([Lesson(features={"bert": bert})]), place, "bert")
    assert found.basis is Basis.GRAPH
    assert found.estimate.low < 480 < found.estimate.high  # 440-520 ms were measured with 2 threads
    assert factor(found) == pytest.approx(3, rel=0.01)


def test_one_observation_narrows_what_the_graph_left_wide(place: Place, bert: GraphFeatures, runs: Runs) -> None:
    known = Knowledge().learned([Lesson(features={"bert": bert})])
    seen = solo(known.learned([runs("bert", 480)]), place, "bert")
    assert seen.time_ms == pytest.approx(480)
    assert factor(seen) < 1.3 < factor(solo(known, place, "bert"))


def test_observed_models_calibrate_the_rates_for_the_others(place: Place, bert: GraphFeatures, runs: Runs) -> None:
    half = GraphFeatures(11e9, 217_500_000, 60e6, 300, dynamic_batch=True)
    knowledge = Knowledge().learned([Lesson(features={"bert": bert, "half": half}), runs("bert", 2000)])
    found = solo(knowledge, place, "half")
    assert found.basis is Basis.GRAPH
    assert found.time_ms == pytest.approx(1000, rel=0.05)
    assert factor(found) < 3


def test_software_webgpu_is_expected_to_be_far_slower_than_wasm(bert: GraphFeatures) -> None:
    knowledge = Knowledge().learned([Lesson(features={"bert": bert})])
    gpu = solo(knowledge, Place(Platform.WEBGPU, "chromium"), "bert")
    assert gpu.time_ms > 30 * solo(knowledge, Place(Platform.WASM, "chromium"), "bert").time_ms


def test_runs_in_another_engine_say_nothing(place: Place, runs: Runs) -> None:
    knowledge = Knowledge().learned([runs("bert", 100)])
    with pytest.raises(ModelNeverObserved, match="bert"):
        solo(knowledge, Place(Platform.WASM, "firefox"), "bert")


def test_a_graph_of_absurd_size_still_gives_finite_figures(place: Place) -> None:
    absurd = GraphFeatures(1.7e308, 2**63 - 1, 1e300, 2**63 - 1, dynamic_batch=True)
    found = solo(Knowledge().learned([Lesson(features={"x": absurd})]), place, "x", batch=65536)
    assert found.estimate.high < float("inf")


def test_memory_is_bounded_and_rare_batch_sizes_are_not_pushed_out(place: Place, runs: Runs) -> None:
    knowledge = Knowledge().learned([runs("bert", 70, 70, 70, batch=8), runs("bert", *[10.0] * 500)])
    kept = knowledge.histories[place, "bert"].samples[2]
    assert len(kept) == 64
    assert [each.batch_size for each in kept].count(8) == 3


def test_a_change_of_the_machine_is_followed_by_the_newest_observations(place: Place, runs: Runs) -> None:
    knowledge = Knowledge().learned([runs("bert", *[100.0] * 64)]).learned([runs("bert", *[150.0] * 64)])
    assert solo(knowledge, place, "bert").time_ms == pytest.approx(150)


def test_models_learnt_longest_ago_are_forgotten_first(place: Place) -> None:
    lesson = Lesson(place, tuple(Observation(f"m{number}", 1, 1, 5.0) for number in range(1030)))
    histories = Knowledge().learned([lesson]).histories
    assert len(histories) == 1024
    assert (place, "m1029") in histories
    assert (place, "m0") not in histories


def test_learning_leaves_the_old_knowledge_as_it_was(place: Place, runs: Runs) -> None:
    old = Knowledge().learned([runs("bert", 100)])
    old.learned([runs("bert", 300, 300, 300)])
    assert solo(old, place, "bert").time_ms == pytest.approx(100)


def test_the_lessons_of_a_knowledge_teach_the_same(place: Place, bert: GraphFeatures, runs: Runs) -> None:
    lessons = [Lesson(features={"bert": bert}), runs("bert", 98, 101, memory_mb=600), runs("tiny", 7, width=1)]
    knowledge = Knowledge().learned(lessons)
    assert Knowledge().learned(knowledge.lessons()) == knowledge
