"""Errors of predictions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from corun.errors import InvalidField
from corun.validation.error_rates import ErrorRates, error_rate, error_rates
from corun.validator.core.records import Performance

figures = some.floats(min_value=1e-6, max_value=1e12)


def test_an_error_is_the_distance_relative_to_the_measurement() -> None:
    assert error_rate(120, 100) == 0.2
    assert error_rate(80, 100) == 0.2
    assert error_rate(0, 100) == 1.0


def test_a_figure_measured_as_zero_has_no_error() -> None:
    assert error_rate(5, 0) is None
    assert error_rates(Performance(1, 1, 5), Performance(1, 1, 0)) == ErrorRates(0, 0, None)


@given(predicted=figures, measured=figures)
def test_an_error_is_finite_not_negative_and_zero_only_for_an_exact_prediction(
    predicted: float, measured: float
) -> None:
    rate = error_rate(predicted, measured)
    assert rate is not None
    assert math.isfinite(rate)
    assert (rate == 0) == (predicted == measured)
    assert rate >= 0


@given(predicted=figures, measured=figures, power=some.integers(min_value=-10, max_value=10))
def test_an_error_does_not_depend_on_the_unit(predicted: float, measured: float, power: int) -> None:
    unit = 2.0**power  # a power of two scales without rounding
    assert error_rate(predicted * unit, measured * unit) == error_rate(predicted, measured)


@pytest.mark.parametrize("measured", [5e-324, 9e-13])
def test_an_error_beyond_all_reason_names_the_measured_figure(measured: float) -> None:
    with pytest.raises(InvalidField, match=rf"execution\.measured\.memory_mb: {measured} is too small"):
        error_rates(Performance(1, 1, 1), Performance(1, 1, measured))


def test_within_a_threshold_means_no_error_is_over_it() -> None:
    assert ErrorRates(0.15, 0.0, None).within(0.15)
    assert not ErrorRates(0.0, 0.16, None).within(0.15)
    assert not ErrorRates(0.0, 0.0, 0.16).within(0.15)
    assert ErrorRates().within(0.15)
