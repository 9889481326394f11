"""The guide's words for the contract's enums, and back."""

from __future__ import annotations

from corun.v1 import core_pb2, predictor_service_pb2
from corun.validator.core.refinement import Method


def strategy_name(value: core_pb2.Strategy.ValueType) -> str:
    """The guide's name, for example "parallel"."""
    return core_pb2.Strategy.Name(value).removeprefix("STRATEGY_").lower()


def strategy_value(name: str) -> core_pb2.Strategy.ValueType:
    """The enum's value."""
    return core_pb2.Strategy.Value(f"STRATEGY_{name.upper()}")


def platform_value(name: str | None) -> core_pb2.Platform.ValueType:
    """The enum's value; unspecified for None."""
    return core_pb2.Platform.Value(f"PLATFORM_{name.upper()}") if name else core_pb2.PLATFORM_UNSPECIFIED


def goal_name(value: core_pb2.OptimizationGoal.ValueType) -> str:
    """The guide's name; one that was not given is "latency"."""
    given = value or core_pb2.OPTIMIZATION_GOAL_LATENCY
    return core_pb2.OptimizationGoal.Name(given).removeprefix("OPTIMIZATION_GOAL_").lower()


def goal_value(name: str) -> core_pb2.OptimizationGoal.ValueType:
    """The enum's value."""
    return core_pb2.OptimizationGoal.Value(f"OPTIMIZATION_GOAL_{name.upper()}")


def method_of(value: predictor_service_pb2.RefinementMethod.ValueType) -> Method:
    """Raises ValueError for the unspecified one."""
    name = predictor_service_pb2.RefinementMethod.Name(value)
    return Method(name.removeprefix("REFINEMENT_METHOD_").lower())


def method_value(method: Method | None) -> predictor_service_pb2.RefinementMethod.ValueType:
    """The enum's value; unspecified for None."""
    if method is None:
        return predictor_service_pb2.REFINEMENT_METHOD_UNSPECIFIED
    return predictor_service_pb2.RefinementMethod.Value(f"REFINEMENT_METHOD_{method.upper()}")
