"""When two records under one id say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from corun.errors import ExecutionConflict
from corun.validator.core.identity import (
    ComparisonConflict,
    KnownExecution,
    comparison_digest,
    execution_digest,
    refuse_contradiction,
)
from corun.validator.core.records import Comparison, Execution, Model, Performance, Run, Workload

WORKLOAD = Workload((Model("bert", "", 4), Model("vit", "vision", 1)), 1)
PREDICTED = Performance(120, 50, 100)
EXECUTION = Execution(
    execution_id="e1",
    end_time=datetime(2026, 11, 1, tzinfo=UTC),
    workload=WORKLOAD,
    platform="wasm",
    strategy="parallel",
    goal="latency",
    strategy_chosen=True,
    engine="chromium",
    adapter="cpu",
    plan_json=None,
    predictor_version="7",
    predicted=PREDICTED,
    measured=Performance(100, 50, 200),
    runs=(Run("bert", 4, 1, 2, 90.0),),
    queue_time_ms=0.0,
    load_time_ms=0.0,
)
KNOWN = KnownExecution(execution_digest(EXECUTION), PREDICTED, None)


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"end_time": None},
        {"predicted": None, "predictor_version": ""},
    ],
)
def test_a_repetition_passes_with_or_without_its_time_and_prediction(same: dict[str, Any]) -> None:
    refuse_contradiction(KNOWN, replace(EXECUTION, **same))


@pytest.mark.parametrize(
    "other",
    [
        {"measured": Performance(100, 50, 201)},
        {"predicted": Performance(120, 50, 101)},
        {"workload": replace(WORKLOAD, iterations=2)},
        {"workload": Workload(WORKLOAD.models[::-1], 1)},
        {"platform": "webnn"},
        {"strategy": "sequential"},
        {"goal": "memory"},
        {"strategy_chosen": False},
        {"engine": "firefox"},
        {"adapter": "gpu"},
        {"plan_json": "{}"},
        {"runs": ()},
        {"queue_time_ms": 1.0},
        {"load_time_ms": 1.0},
    ],
)
def test_any_other_figure_is_a_conflict(other: dict[str, Any]) -> None:
    with pytest.raises(ExecutionConflict, match="'e1' is on record with other figures"):
        refuse_contradiction(KNOWN, replace(EXECUTION, **other))


def test_a_prediction_may_come_later_than_the_measurement() -> None:
    refuse_contradiction(replace(KNOWN, predicted=None), EXECUTION)


def test_a_comparison_is_the_same_in_any_order_of_its_outcomes_and_under_any_id() -> None:
    outcomes = {"parallel": Performance(20, 50, 0), "sequential": Performance(10, 100, 0)}
    comparison = Comparison("c1", WORKLOAD, "wasm", "latency", "parallel", "sequential", False, -33.0, outcomes)
    reordered = replace(comparison, comparison_id="c2", outcomes=dict(reversed(outcomes.items())))
    assert comparison_digest(reordered) == comparison_digest(comparison)
    assert comparison_digest(replace(comparison, improvement_percent=-32.0)) != comparison_digest(comparison)


def test_a_conflict_of_comparisons_names_their_field() -> None:
    conflict = ComparisonConflict("c1")
    assert (conflict.reason, conflict.field) == ("EXECUTION_CONFLICT", "comparison_id")
    assert conflict.metadata == {"comparison_id": "c1"}
