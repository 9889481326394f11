from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.drift import latest_shift


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
