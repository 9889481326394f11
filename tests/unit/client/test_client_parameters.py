"""Parameters that are refused before anything is started or sent."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from corun_client import (
    InvalidArgument,
    MultiModelEmpiricalValidator,
    MultiModelResourcePoolIntegration,
    NotInitialized,
)
from corun_client.deadlines import deadline
from corun_client.target import checked_target


@pytest.mark.parametrize("target", ["localhost:50051", "127.0.0.1:1", "[::1]:65535", "a.b-c.example:80"])
def test_host_and_port_are_a_target(target: str) -> None:
    assert checked_target(target) == target


@pytest.mark.parametrize(
    "target", ["", "localhost", ":50051", "localhost:", "h:0", "h:65536", "h:-1", "::1:80", "h:٣", 5]
)
def test_anything_else_is_not(target: object) -> None:
    with pytest.raises(InvalidArgument, match="target: expected HOST:PORT"):
        checked_target(target)


@pytest.mark.parametrize("seconds", [0, -1, nan, float("inf"), "5", True])
def test_a_deadline_is_a_positive_number(seconds: object) -> None:
    with pytest.raises(InvalidArgument, match="timeout_seconds"):
        deadline(seconds, 1.0)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("max_connections", 0),
        ("max_connections", -4),
        ("max_connections", 2.5),
        ("max_connections", True),
        ("validation_interval", 0),
        ("validation_interval", "10"),
        ("error_threshold", nan),
        ("error_threshold", -0.15),
        ("target", "nowhere"),
        ("predictor", object()),
        ("resource_pool", object()),
        ("validator", object()),
    ],
)
def test_an_integration_refuses_a_bad_value_by_its_name(parameter: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{parameter}: "):
        MultiModelResourcePoolIntegration(**{parameter: value})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("error_threshold", nan), ("error_threshold", -1), ("validation_history_size", 0), ("refinement_interval", -5)],
)
def test_a_validator_refuses_a_bad_value_by_its_name(parameter: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{parameter}: .*{value}"):
        MultiModelEmpiricalValidator(**{parameter: value})


def test_the_validators_settings_are_the_integrations_where_it_has_none_of_its_own() -> None:
    validator = MultiModelEmpiricalValidator(db_path="./x.duckdb", error_threshold=0.1)
    integration = MultiModelResourcePoolIntegration(validator=validator)
    assert (str(integration.db_path), integration.error_threshold) == ("x.duckdb", 0.1)


def test_settings_that_contradict_the_validators_are_refused() -> None:
    validator = MultiModelEmpiricalValidator(db_path="a.duckdb")
    with pytest.raises(InvalidArgument, match=r"^db_path: .*b\.duckdb.*contradicts.*a\.duckdb"):
        MultiModelResourcePoolIntegration(validator=validator, db_path="b.duckdb")


def test_an_integration_that_was_not_initialized_says_so() -> None:
    integration = MultiModelResourcePoolIntegration()
    with pytest.raises(NotInitialized, match=r"initialize\(\)"):
        integration.get_validation_metrics()
    integration.close()
    with pytest.raises(NotInitialized):
        integration.validator.get_validation_metrics()


def test_bad_arguments_are_named_as_the_guide_names_them() -> None:
    integration = MultiModelResourcePoolIntegration()
    models = [{"model_name": "m"}]
    with pytest.raises(InvalidArgument, match=r"^hardware_platform: 'gpu'.*allowed: webgpu, webnn, wasm, cpu"):
        integration.execute_with_strategy(models, hardware_platform="gpu")
    with pytest.raises(InvalidArgument, match=r"^execution_strategy: 'fast'.*allowed: parallel, sequential, batched"):
        integration.execute_with_strategy(models, execution_strategy="fast")
    with pytest.raises(InvalidArgument, match=r"^optimization_goal: 'speed'.*allowed: latency, throughput, memory"):
        integration.compare_strategies(models, optimization_goal="speed")
