from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.curve import fit_curve
from corun.predictor.core.line import Point, fit_line

LINE = {1: 14.0, 2: 24.0, 4: 44.0, 8: 84.0, 16: 164.0}  # 4 ms + 10 ms an item


def test_fits_a_straight_law_and_goes_on_along_it() -> None:
    curve = fit_curve(list(LINE.items()), fixed_share=0.1)
    assert curve.at(6) == pytest.approx(64, rel=0.01)
    assert curve.at(32) == pytest.approx(324, rel=0.01)


@pytest.mark.parametrize("wild", [10.0, 0.1])
@pytest.mark.parametrize("batch", LINE)
def test_one_wild_run_does_not_bend_the_fit(batch: int, wild: float) -> None:
    curve = fit_curve([*(LINE | {batch: LINE[batch] * wild}).items()], fixed_share=0.1)
    assert curve.at(6) == pytest.approx(64, rel=0.05)


def test_one_wild_run_among_repeated_ones_does_not_count() -> None:
    curve = fit_curve([(4, 100), (4, 101), (4, 99), (4, 1000)], fixed_share=0.1)
    assert curve.at(4) == pytest.approx(100, rel=0.005)


@pytest.mark.parametrize("disturbed", [0, 2, 5, 8])
def test_runs_that_were_interrupted_do_not_count_however_many_they_are(disturbed: int) -> None:
    undisturbed = [(batch, 5.0 + 20 * batch) for batch in (1, 2, 3, 4, 6, 8)]
    interrupted = [
        (1 + number % 8, (5.0 + 20 * (1 + number % 8)) * (1.5 + 0.3 * number)) for number in range(disturbed)
    ]
    curve = fit_curve([*undisturbed, *interrupted], fixed_share=0.1)
    assert curve.at(5) == pytest.approx(105, rel=0.02)


def test_runs_of_one_occasion_count_once() -> None:
    # Profiled beside something else, then seen three times without it.
    samples = [(4, 200.0)] * 10 + [(1, 26.0), (2, 51.0), (8, 201.0)]
    curve = fit_curve(samples, fixed_share=0.1, occasions=[1] * 10 + [2, 3, 4])
    assert curve.at(4) == pytest.approx(101, rel=0.02)


def test_a_batch_size_observed_three_times_is_believed_over_the_line() -> None:
    # Caches overflow between 1 and 8 items: no straight line with a non-negative start goes through both.
    curve = fit_curve([(1, 10.0)] * 3 + [(8, 160.0)] * 3, fixed_share=0.1)
    assert curve.at(1) == pytest.approx(10)
    assert curve.at(8) == pytest.approx(160)


def test_a_single_batch_size_scales_by_items_less_the_fixed_share() -> None:
    curve = fit_curve([(1, 100.0)], fixed_share=0.1)
    assert curve.at(1) == pytest.approx(100)
    assert curve.at(8) == pytest.approx(10 + 8 * 90)


def test_uncertainty_grows_with_the_distance_from_what_was_observed() -> None:
    curve = fit_curve([(2, 24.0), (4, 44.0)], fixed_share=0.1)
    inside, near, far = curve.log_sigma(3), curve.log_sigma(8), curve.log_sigma(64)
    assert inside < near < far
    assert curve.log_sigma(1) > inside


def test_more_observations_narrow_the_interval() -> None:
    assert fit_curve([(1, 10.0)] * 20, fixed_share=0.1).log_sigma(1) < fit_curve(
        [(1, 10.0)], fixed_share=0.1
    ).log_sigma(1)


samples = st.lists(st.tuples(st.integers(1, 65536), st.floats(0.001, 86_400_000)), min_size=1, max_size=64)


@given(samples, st.integers(1, 65536), st.integers(1, 65536))
def test_more_items_never_take_less_time(samples: list[tuple[int, float]], one: int, other: int) -> None:
    curve = fit_curve(samples, fixed_share=0.1)
    fewer, more = sorted((one, other))
    assert 0 < curve.at(fewer) <= curve.at(more) * (1 + 1e-9)
    assert 0 < curve.log_sigma(one) < 5


@given(st.floats(0, 100), st.floats(0.01, 100), st.sets(st.integers(1, 1000), min_size=2, max_size=10))
def test_a_line_is_found_again_from_points_on_it(intercept: float, slope: float, places: set[int]) -> None:
    line = fit_line([Point(x, intercept + slope * x) for x in places])
    for x in places:
        assert line.at(x) == pytest.approx(intercept + slope * x, rel=1e-3)
