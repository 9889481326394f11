"""Broken rules in words that a person can act on."""

from __future__ import annotations

import pytest

from corun.plumbing.rules import broken_rules
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


def workload(*batch_sizes: int) -> core_pb2.Workload:
    return core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="m", batch_size=size) for size in batch_sizes])


def test_a_good_request_breaks_no_rule() -> None:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload(1), platform=core_pb2.PLATFORM_WASM)
    assert broken_rules(request) == []


@pytest.mark.parametrize("size", [0, -1, 1025, 2**31 - 1])
def test_a_bad_batch_is_named_by_its_place_with_the_value_and_the_range(size: int) -> None:
    (violation,) = broken_rules(workload(1, size))
    assert violation.field == "models[1].batch_size"
    assert str(size) in violation.description
    assert "1024" in violation.description


@pytest.mark.parametrize(("count", "bound"), [(0, "1"), (100, "64")])
def test_a_list_of_a_wrong_length_is_told_both_lengths(count: int, bound: str) -> None:
    (violation,) = broken_rules(workload(*[1] * count))
    assert violation.field == "models"
    assert bound in violation.description
    assert violation.description.endswith(f"received {count}")


def test_an_unknown_enum_value_is_told_the_names_that_are_allowed() -> None:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload(1), platform=core_pb2.PLATFORM_WASM)
    request.strategy = 9  # type: ignore[assignment]  # what an old or a wrong client may send
    (violation,) = broken_rules(request)
    assert violation.field == "strategy"
    assert "STRATEGY_PARALLEL, STRATEGY_SEQUENTIAL, STRATEGY_BATCHED" in violation.description


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), 0.0, -0.1])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    policy = orchestrator_pb2.ValidationPolicy(error_threshold=threshold)
    assert {violation.field for violation in broken_rules(policy)} == {"error_threshold"}


def test_what_is_quoted_and_what_is_listed_stays_small() -> None:
    models = [core_pb2.ModelConfig(model_name="x" * 100_000, batch_size=0) for _ in range(64)]
    violations = broken_rules(core_pb2.Workload(models=models))
    assert len(violations) == 20
    assert sum(len(violation.description) for violation in violations) < 8_000
