"""How long a benchmark is said to take."""

from __future__ import annotations

from corun.accuracy.core.design import draw_design
from corun.accuracy.core.duration import (
    FIRST_RUN_SECONDS,
    PROFILE_SECONDS,
    REPEATED_RUN_SECONDS,
    TRAIN_SECONDS,
    expected_seconds,
)


def test_the_expected_time_is_the_sum_over_all_steps() -> None:
    design = draw_design(["a", "b", "c", "d"], seed=1, train_count=5, test_count=4)
    # 4 profiles, 5 executions, and 4 workloads under 3 strategies, each once and twice again.
    expected = 4 * PROFILE_SECONDS + 5 * TRAIN_SECONDS + 12 * (FIRST_RUN_SECONDS + 2 * REPEATED_RUN_SECONDS)
    assert expected_seconds(design, model_count=4, repeats=3) == expected
