"""Changes of the level of errors, on series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from corun.validator.core.drift import Drift, latest_drift
from tests.fakes.error_series import noise

BEFORE = 100
SERIES = 300


def step(seed: int, *, size: float, deviation: float, correlation: float = 0.0) -> NDArray[np.float64]:
    """`BEFORE` errors around 5 %, then 30 around 5 % + size."""
    values = 0.05 + noise(seed, BEFORE + 30, deviation=deviation, correlation=correlation)
    values[BEFORE:] += size
    return np.maximum(values, -0.9)


@pytest.mark.parametrize(("size", "deviation", "correlation"), [(0.15, 0.05, 0.0), (0.3, 0.1, 0.0), (0.15, 0.05, 0.3)])
def test_a_step_is_found_within_30_validations_and_nothing_before(
    size: float, deviation: float, correlation: float
) -> None:
    early = sum(
        latest_drift(step(seed, size=size, deviation=deviation, correlation=correlation)[:BEFORE].tolist()) is not None
        for seed in range(SERIES)
    )
    found = [
        latest_drift(step(s, size=size, deviation=deviation, correlation=correlation).tolist()) for s in range(SERIES)
    ]
    assert early <= 0.05 * SERIES
    assert sum(each is not None for each in found) >= 0.95 * SERIES
    told = [each for each in found if each is not None]
    assert np.median([each.since for each in told]) == pytest.approx(30, abs=2)
    assert np.median([each.after - each.before for each in told]) == pytest.approx(size, rel=0.15)


def test_levels_and_delay_are_those_of_the_step() -> None:
    drift = latest_drift([0.1] * 50 + [0.5] * 20)
    assert drift is not None
    assert drift.before == pytest.approx(0.1)
    assert drift.after == pytest.approx(0.5)
    assert drift.since == 20
    assert 0 < drift.delay <= drift.since


def test_a_step_downwards_is_one_too() -> None:
    drift = latest_drift([0.6] * 50 + [0.1] * 30)
    assert drift is not None
    assert drift.after < drift.before


def test_of_two_steps_the_latest_is_told() -> None:
    drift = latest_drift([0.0] * 60 + [0.5] * 60 + [0.2] * 60)
    assert drift is not None
    assert [drift.before, drift.after] == pytest.approx([0.5, 0.2])


@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.1, 0.4])
def test_noise_around_one_level_is_no_drift(deviation: float) -> None:
    alarms = sum(
        latest_drift(noise(seed, 200, deviation=deviation).clip(-0.9).tolist()) is not None for seed in range(SERIES)
    )
    assert alarms <= 0.05 * SERIES


def test_a_mixture_of_workloads_in_turn_is_no_drift() -> None:
    assert latest_drift(np.tile([-0.2, 0.0, 0.3], 60).tolist()) is None


def test_too_few_values_say_nothing() -> None:
    assert latest_drift([0.0] * 4 + [5.0] * 5) is None


@given(some.lists(some.floats(min_value=-1, max_value=1e12), max_size=120))
def test_a_drift_lies_inside_its_series(errors: list[float]) -> None:
    drift: Drift | None = latest_drift(errors)
    assert drift is None or 0 < drift.delay <= drift.since < len(errors)
