from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.drift import latest_shift, realigned
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


def test_older_values_are_moved_to_the_newest_level() -> None:
    assert realigned([0.0] * 10 + [1.0] * 5, changes=1) == [1.0] * 15


def test_after_a_change_of_the_machine_a_batch_size_not_seen_since_follows(place: Place) -> None:
    def lesson(batch: int, *times: float) -> Lesson:
        return Lesson(place, tuple(Observation("bert", batch, 2, time) for time in times))

    before = Knowledge().learned([lesson(1, *[100.0] * 20), lesson(8, *[800.0] * 5)])
    after = before.learned([lesson(1, *[150.0] * 4)])
    small = solo_time(after, place, model_name="bert", batch_size=1, lane_width=2)
    large = solo_time(after, place, model_name="bert", batch_size=8, lane_width=2)
    assert small.time_ms == pytest.approx(150, rel=0.01)
    assert large.time_ms == pytest.approx(1200, rel=0.01)


def test_a_change_that_was_undone_leaves_no_trace() -> None:
    there_and_back = [*noisy(0.0, 20), *noisy(0.5, 20, seed=2), *noisy(0.0, 20, seed=3)]
    aligned = realigned(there_and_back, changes=4)
    for start in (0, 20, 40):
        assert abs(statistics.median(aligned[start : start + 20])) < 0.1
