"""Errors, coverage and noise, against figures worked out by hand."""

from __future__ import annotations

import pytest

from corun.accuracy.core.report import own_scores, point_document
from corun.accuracy.core.scoring import Score, ninth_decile, noise_floor, score
from corun.orchestrator.core.terms import Strategy
from tests.unit.accuracy.points import point


def test_errors_are_fractions_of_what_was_measured() -> None:
    # |110 - 100| / 100 = 0.1, |150 - 200| / 200 = 0.25, |40 - 80| / 80 = 0.5
    found = score([110.0, 150.0, 40.0], [100.0, 200.0, 80.0])
    assert found.count == 3
    assert found.mean == pytest.approx(0.85 / 3)
    assert found.median == pytest.approx(0.25)
    # Rank 0.9 * 2 = 1.8 of 0.1, 0.25, 0.5: 0.25 + 0.8 * 0.25
    assert found.p90 == pytest.approx(0.45)
    assert found.within_10 == pytest.approx(1 / 3)
    assert found.coverage is None
    assert found.noise_floor is None


def test_coverage_is_the_share_of_single_measurements_in_their_intervals_ends_included() -> None:
    intervals, repeats = [(90.0, 110.0), (120.0, 130.0)], [[110.0, 90.0, 111.0], [119.9, 120.0, 124.0]]
    assert score([1.0] * 2, [110.0, 120.0], intervals=intervals, repeats=repeats).coverage == pytest.approx(4 / 6)


def test_the_noise_floor_is_the_error_of_single_runs_against_the_median_of_their_repeats() -> None:
    # 90, 100, 120 against 100: 0.1, 0, 0.2; 50, 50, 50: three times 0
    assert noise_floor([[90.0, 100.0, 120.0], [50.0] * 3]) == pytest.approx(0.3 / 6)


def test_memory_below_the_idle_browser_has_no_relative_error_and_does_not_count() -> None:
    found = score([10.0, 10.0], [-3.0, 20.0], intervals=[(0.0, 1.0), (15.0, 25.0)], repeats=[[-3.0], [20.0]])
    assert (found.count, found.mean, found.coverage, found.noise_floor) == (1, 0.5, 1.0, 0.0)
    assert score([10.0], [0.0]) == Score(0)


def test_nine_of_ten_values_lie_below_the_ninth_decile() -> None:
    assert ninth_decile([0.2]) == 0.2
    assert ninth_decile([float(number) for number in range(11)]) == 9.0


def test_scores_come_by_figure_and_part() -> None:
    points = [
        point(Strategy.PARALLEL, 100.0, [125.0, 120.0, 150.0]),  # 125: 20 % too low, outside 90 to 110
        point(Strategy.PARALLEL, 100.0, [100.0], unseen=True),
    ]
    scores = own_scores(points)
    assert list(scores) == ["latency", "throughput", "memory"]
    seen, unseen = scores["latency"]["seen"], scores["latency"]["unseen"]
    assert (seen["count"], seen["mean"], seen["coverage"]) == (1, pytest.approx(0.2), 0.0)
    # 0, 5 / 125, 25 / 125
    assert seen["noise_floor"] == pytest.approx(0.24 / 3)
    assert (unseen["count"], unseen["mean"], unseen["coverage"]) == (1, 0.0, 1.0)
    # 40 items/s predicted, 32 measured
    assert scores["throughput"]["seen"]["mean"] == pytest.approx(0.25)
    # 100 MB predicted, 80 measured
    assert scores["memory"]["seen"]["mean"] == pytest.approx(0.25)


def test_a_point_tells_how_long_each_run_took_beside_its_time_alone() -> None:
    document = point_document(point(Strategy.PARALLEL, 100.0, [100.0, 200.0, 120.0], unseen=True))
    assert (document["part"], document["strategy"], document["measured"]["latency"]) == ("unseen", "parallel", 120.0)
    # A quarter and half of each latency were measured; the medians are those of 120 ms.
    assert [(run["solo_ms"], run["measured_ms"]) for run in document["runs"]] == [(10.0, 30.0), (30.0, 60.0)]
    assert len(document["repeats"]) == 3
