"""Trends of errors, on series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from corun.validator.core.trend import Direction, error_trend
from tests.fakes.error_series import noise

SERIES = 1000
COUNT = 60


def test_a_constant_error_is_stable_and_has_no_strength() -> None:
    trend = error_trend([0.2] * COUNT)
    assert (trend.direction, trend.strength, trend.slope, trend.p_value) == (Direction.STABLE, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_little_data_is_said_and_not_guessed(count: int) -> None:
    trend = error_trend([0.1 * index for index in range(count)])
    assert trend.direction is Direction.INSUFFICIENT_DATA
    assert (trend.strength, trend.slope, trend.p_value, trend.count) == (0.0, None, None, count)
    assert f"{count} validation" in trend.explanation
    assert "at least 10" in trend.explanation


def test_a_ramp_is_worsening_and_its_strength_grows_with_its_slope() -> None:
    slopes = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05)
    trends = [error_trend(0.1 + slope * np.arange(COUNT)) for slope in slopes]
    assert {trend.direction for trend in trends} == {Direction.WORSENING}
    assert [trend.slope for trend in trends] == pytest.approx(slopes)
    strengths = [trend.strength for trend in trends]
    assert strengths == sorted(strengths)
    # from 0.1 to 0.1 + 59 slopes, as a share of the larger end
    assert strengths == pytest.approx([59 * slope / (0.1 + 59 * slope) for slope in slopes])


def test_a_ramp_downwards_is_improving_and_as_strong_as_its_mirror() -> None:
    up = 0.1 + 0.002 * np.arange(COUNT)
    down = error_trend(up[::-1])
    assert down.direction is Direction.IMPROVING
    assert down.strength == pytest.approx(error_trend(up).strength)


def test_a_noisy_ramp_is_found_and_its_strength_grows_on_average() -> None:
    found, strengths = [], []
    for slope in (0.002, 0.004, 0.008):
        trends = [
            error_trend(np.abs(0.1 + slope * np.arange(COUNT) + noise(s, COUNT, deviation=0.03))) for s in range(100)
        ]
        found.append(sum(trend.direction is Direction.WORSENING for trend in trends))
        strengths.append(np.mean([trend.strength for trend in trends]))
    assert min(found) >= 99
    assert strengths == sorted(strengths)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_pure_noise_has_a_trend_in_at_most_five_of_a_hundred_series(correlation: float) -> None:
    alarms = sum(
        error_trend(np.abs(0.2 + noise(seed, COUNT, deviation=0.05, correlation=correlation))).direction
        is not Direction.STABLE
        for seed in range(SERIES)
    )
    assert alarms <= 0.05 * SERIES


@pytest.mark.parametrize(
    ("errors", "direction"),
    [
        (2 * np.arange(20) / (100 + 2 * np.arange(20)), Direction.WORSENING),
        (0.5 * np.exp(-np.arange(40) / 10), Direction.IMPROVING),
        (0.1 + 0.001 * np.arange(COUNT) ** 2, Direction.WORSENING),
        (np.repeat([0.1, 0.5], 30), Direction.WORSENING),
        (np.repeat([0.5, 0.1], 30) + noise(5, COUNT, deviation=0.03), Direction.IMPROVING),
    ],
)
def test_curves_and_steps_are_trends_although_their_neighbours_resemble_each_other(
    errors: NDArray[np.float64], direction: Direction
) -> None:
    assert error_trend(errors).direction is direction


def test_a_change_of_less_than_a_percentage_point_is_no_trend_however_certain() -> None:
    trend = error_trend(0.1 + 0.0001 * np.arange(COUNT))
    assert trend.p_value is not None
    assert trend.p_value < 1e-6
    assert trend.direction is Direction.STABLE


def test_one_wild_value_makes_no_trend() -> None:
    assert error_trend([*np.abs(noise(3, COUNT, deviation=0.05)), 50.0]).direction is Direction.STABLE


@given(some.lists(some.floats(min_value=0, max_value=1e12), max_size=80))
def test_every_series_of_errors_has_a_strength_between_0_and_1(errors: list[float]) -> None:
    trend = error_trend(errors)
    assert 0 <= trend.strength <= 1
    assert trend.p_value is None or 0 <= trend.p_value <= 1
    assert (trend.strength > 0) == (trend.direction in {Direction.IMPROVING, Direction.WORSENING})


def test_the_answer_about_a_series_is_kept_and_about_a_longer_one_is_another() -> None:
    errors = np.abs(noise(7, COUNT, deviation=0.05))
    assert error_trend(errors.tolist()) is error_trend(errors)
    longer = error_trend([*errors, 0.3])
    assert (longer.count, error_trend(errors).count) == (COUNT + 1, COUNT)
