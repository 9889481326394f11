"""Settings come from the environment and are checked when they are built."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corun.orchestrator.config import Settings


def test_the_defaults_are_the_documented_ports_and_interval() -> None:
    settings = Settings()
    assert (settings.port, settings.validation_interval, settings.batching_size) == (50051, 10, 2)
    assert settings.predictor_target == "127.0.0.1:50052"
    assert settings.resource_pool_target == "127.0.0.1:50053"
    assert settings.validator_target == "127.0.0.1:50054"
    assert settings.error_threshold is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_interval", 0),
        ("error_threshold", 0),
        ("batching_size", 65),
        ("execute_timeout_seconds", 0),
        ("peer_timeout_seconds", float("inf")),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})
