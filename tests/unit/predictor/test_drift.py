from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.drift import latest_shift, level_path
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import Lesson, Observation
from corun.predictor.core.solo import solo_time
from corun.predictor.core.workload import Place


def noisy(level: float, count: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [level + source.gauss(0, 0.05) for _ in range(count)]


@pytest.mark.parametrize("newest", [3, 5, 12, 30])
def test_a_lasting_change_of_level_is_found_with_its_size(newest: int) -> None:
    shift = latest_shift([*noisy(0.0, 30), *noisy(0.4, newest, seed=2)])
    assert shift is not None
    assert shift.size == pytest.approx(0.4, abs=0.08)


@given(st.integers(0, 30), st.floats(-3, 3), st.floats(-3, 3))
def test_two_wild_values_are_no_change(place: int, one: float, other: float) -> None:
    steady = noisy(0.0, 30)
    assert latest_shift([*steady[:place], one, other, *steady[place:]]) is None


def test_steady_noise_is_hardly_ever_taken_for_a_change() -> None:
    found = sum(latest_shift(noisy(0.0, 40, seed)) is not None for seed in range(200))
    assert found <= 4


@pytest.mark.parametrize("length", [6, 8, 20])
def test_a_path_follows_a_change_there_and_back(length: int) -> None:
    path = level_path([*noisy(0.0, 20), *noisy(0.5, length, seed=2), *noisy(0.0, 20, seed=3)])
    assert max(abs(level) for level in (*path[:19], *path[length + 21 :])) < 0.05
    assert path[20 + length // 2] == pytest.approx(0.5, abs=0.08)


@given(st.integers(0, 30), st.floats(-3, 3), st.floats(-3, 3))
def test_a_path_leaves_two_wild_values_alone(place: int, one: float, other: float) -> None:
    steady = noisy(0.0, 30)
    path = level_path([*steady[:place], one, other, *steady[place:]])
    assert max(path) - min(path) < 0.1


def test_a_path_through_steady_noise_hardly_ever_changes() -> None:
    assert sum(len(set(level_path(noisy(0.0, 40, seed)))) > 1 for seed in range(100)) <= 2


def test_after_a_change_of_the_machine_a_batch_size_not_seen_since_follows(place: Place) -> None:
    def lesson(batch: int, *times: float) -> Lesson:
        return Lesson(place, tuple(Observation("bert", batch, 2, time) for time in times))

    before = Knowledge().learned([lesson(1, *[100.0] * 20), lesson(8, *[800.0] * 5)])
    after = before.learned([lesson(1, *[150.0] * 4)] * 3)
    small = solo_time(after, place, model_name="bert", batch_size=1, lane_width=2)
    large = solo_time(after, place, model_name="bert", batch_size=8, lane_width=2)
    assert small.time_ms == pytest.approx(150, rel=0.01)
    assert large.time_ms == pytest.approx(1200, rel=0.01)


def test_a_change_that_one_model_shows_is_known_of_the_others(place: Place) -> None:
    def lessons(load: float, *names: str) -> list[Lesson]:
        times = {"bert": 400.0, "vit": 700.0, "new": 200.0}
        return [
            Lesson(place, tuple(Observation(name, 1, 2, load * times[name] * noise) for noise in (0.98, 1.0, 1.02)))
            for name in names
        ]

    quiet = Knowledge().learned(lessons(1.0, *["bert", "vit"] * 4))
    loaded = quiet.learned(lessons(1.8, *["bert"] * 3, "new"))
    assert solo_time(loaded, place, model_name="vit", batch_size=1, lane_width=2).time_ms == pytest.approx(
        1.8 * 700, rel=0.03
    )
    quiet_again = loaded.learned(lessons(1.0, *["bert"] * 3))
    # It was only ever run beside the load.
    assert solo_time(quiet_again, place, model_name="new", batch_size=1, lane_width=2).time_ms == pytest.approx(
        200, rel=0.03
    )
