"""What is taught to the predictor, and how profiles are asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.observations import (
    Observation,
    Profile,
    ProfileOrder,
    Run,
    Setting,
    observed_alone,
    observed_profiles,
    profile_orders,
)

SETTING = Setting(batch_size=2, lane_width=4)


def run(time_ms: float, *, concurrency: int = 1, model_name: str = "a") -> Run:
    return Run(model_name, SETTING.batch_size, SETTING.lane_width, concurrency, time_ms)


def test_only_runs_without_another_beside_them_are_observations() -> None:
    assert observed_alone([run(5.0), run(7.0, concurrency=2)]) == [Observation("a", SETTING, 5.0)]


@pytest.mark.parametrize("time_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_time_that_no_clock_can_mean_is_left_out(time_ms: float) -> None:
    assert observed_alone([run(time_ms)]) == []
    assert observed_profiles("a", [Profile(SETTING, (time_ms,), 3.0)]) == []


def test_a_long_execution_teaches_at_most_32_runs_of_a_setting_spread_over_all_of_it() -> None:
    # 64 runs of 1 to 64 ms: every second one.
    taught = observed_alone(run(float(time)) for time in range(1, 65))
    assert [each.run_time_ms for each in taught] == [float(time) for time in range(1, 65, 2)]


def test_each_model_has_its_own_share() -> None:
    runs = [run(1.0, model_name=name) for name in ("a", "b") for _ in range(40)]
    assert [each.model_name for each in observed_alone(runs)] == ["a"] * 32 + ["b"] * 32


def test_the_memory_of_a_profile_is_told_once() -> None:
    taught = observed_profiles("a", [Profile(SETTING, (5.0, 6.0), 3.0), Profile(Setting(4, 4), (9.0,), 8.0)])
    assert [(each.run_time_ms, each.memory_mb) for each in taught] == [(5.0, 3.0), (6.0, None), (9.0, 8.0)]


@pytest.mark.parametrize("memory_mb", [0.0, -2.0, math.nan])
def test_a_peak_below_the_idle_size_is_no_observation_of_memory(memory_mb: float) -> None:
    assert observed_profiles("a", [Profile(SETTING, (5.0,), memory_mb)]) == [Observation("a", SETTING, 5.0)]


def test_suggestions_are_grouped_by_model_without_repeats() -> None:
    suggested = [("a", SETTING), ("b", SETTING), ("a", Setting(2, 1)), ("a", SETTING)]
    assert profile_orders(suggested) == [
        ProfileOrder("a", (SETTING, Setting(2, 1))),
        ProfileOrder("b", (SETTING,)),
    ]


def test_a_batch_too_large_to_profile_is_profiled_at_the_largest_that_is_not() -> None:
    assert profile_orders([("a", Setting(5000, 2)), ("a", Setting(1024, 2))]) == [
        ProfileOrder("a", (Setting(1024, 2),))
    ]


@given(widths=st.lists(st.integers(1, 64), max_size=64))
def test_no_order_is_larger_than_one_call_takes_and_none_is_lost(widths: list[int]) -> None:
    orders = profile_orders([("a", Setting(1, width)) for width in widths])
    assert all(1 <= len(order.settings) <= 16 for order in orders)
    assert [each.lane_width for order in orders for each in order.settings] == list(dict.fromkeys(widths))
