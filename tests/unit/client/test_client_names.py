"""Names of the guide and enum values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from corun.v1 import core_pb2
from corun_client.conversion.names import (
    GOALS,
    PLATFORMS,
    STRATEGIES,
    goal_name,
    goal_of,
    origin_name,
    platform_name,
    platform_of,
    strategy_name,
    strategy_of,
)
from corun_client.errors import InvalidArgument


def test_every_name_survives_the_way_there_and_back() -> None:
    assert [platform_name(platform_of(name)) for name in PLATFORMS] == list(PLATFORMS)
    assert [strategy_name(strategy_of(name)) for name in STRATEGIES] == list(STRATEGIES)
    assert [goal_name(goal_of(name)) for name in GOALS] == list(GOALS)


def test_every_value_of_the_protos_but_unspecified_has_a_name() -> None:
    assert set(PLATFORMS.values()) == set(core_pb2.Platform.values()) - {0}
    assert set(STRATEGIES.values()) == set(core_pb2.Strategy.values()) - {0}
    assert set(GOALS.values()) == set(core_pb2.OptimizationGoal.values()) - {0}


def test_cpu_is_another_name_of_wasm() -> None:
    assert platform_of("cpu") == core_pb2.PLATFORM_WASM


def test_no_strategy_leaves_the_choice_to_corun() -> None:
    assert strategy_of(None) == core_pb2.STRATEGY_UNSPECIFIED


@pytest.mark.parametrize("convert", [platform_of, strategy_of, goal_of])
@pytest.mark.parametrize("value", ["", "WebGPU", "gpu", 3, 1.5, b"wasm", ["wasm"]])
def test_an_unknown_value_is_refused_with_the_parameter_the_value_and_what_is_allowed(
    convert: Callable[..., object], value: object
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        convert(value, parameter="the_parameter")
    assert caught.value.message.startswith(f"the_parameter: {value!r} is not known; allowed: ")
    assert caught.value.violations[0].field == "the_parameter"
    assert caught.value.code == "INVALID_ARGUMENT"


def test_origins_are_shouted_and_an_unknown_one_says_so() -> None:
    assert origin_name(core_pb2.WEIGHTS_ORIGIN_SEEDED) == "SEEDED"
    assert origin_name(core_pb2.WEIGHTS_ORIGIN_PRETRAINED) == "PRETRAINED"
    assert origin_name(core_pb2.WEIGHTS_ORIGIN_NONE) == "NONE"
    assert origin_name(core_pb2.WEIGHTS_ORIGIN_UNSPECIFIED) == "UNKNOWN"
