"""How often a model is run to know its time."""

from __future__ import annotations

import pytest

from corun.resource_pool.core.profile_length import further_runs


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0], 2),
        ([3000.0], 2),
        ([1.0, 1.0, 1.0], 22),
        ([0.0, 0.0, 0.0], 22),
        ([100.0, 100.0, 100.0], 17),
        ([500.0, 500.0, 500.0], 1),
        ([700.0, 700.0, 700.0], 0),
        ([90_000.0], 0),
        ([90_000.0, 90_000.0, 90_000.0], 0),
        ([1.0] * 25, 0),
    ],
)
def test_short_runs_are_repeated_more_often(times: list[float], expected: int) -> None:
    assert further_runs(times) == expected


def test_one_slow_run_does_not_make_the_others_look_slow() -> None:
    assert further_runs([100.0, 100.0, 900.0]) == 9
