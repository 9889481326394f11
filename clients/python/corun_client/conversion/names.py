"""Names to enum values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from corun.v1 import core_pb2
from corun_client.errors import InvalidArgument

PLATFORMS: Mapping[str, core_pb2.Platform.ValueType] = {
    "webgpu": core_pb2.PLATFORM_WEBGPU,
    "webnn": core_pb2.PLATFORM_WEBNN,
    "wasm": core_pb2.PLATFORM_WASM,
}
STRATEGIES: Mapping[str, core_pb2.Strategy.ValueType] = {
    "parallel": core_pb2.STRATEGY_PARALLEL,
    "sequential": core_pb2.STRATEGY_SEQUENTIAL,
    "batched": core_pb2.STRATEGY_BATCHED,
}
GOALS: Mapping[str, core_pb2.OptimizationGoal.ValueType] = {
    "latency": core_pb2.OPTIMIZATION_GOAL_LATENCY,
    "throughput": core_pb2.OPTIMIZATION_GOAL_THROUGHPUT,
    "memory": core_pb2.OPTIMIZATION_GOAL_MEMORY,
}
_PLATFORMS_AND_ALIASES = {**PLATFORMS, "cpu": core_pb2.PLATFORM_WASM}
_ORIGINS = {
    core_pb2.WEIGHTS_ORIGIN_PRETRAINED: "PRETRAINED",
    core_pb2.WEIGHTS_ORIGIN_SEEDED: "SEEDED",
    core_pb2.WEIGHTS_ORIGIN_NONE: "NONE",
}

_Value = TypeVar("_Value")


def platform_of(name: object, *, parameter: str = "platform") -> core_pb2.Platform.ValueType:
    """webgpu, webnn or wasm (cpu is another name of wasm). Raises InvalidArgument for anything else."""
    return _chosen(name, _PLATFORMS_AND_ALIASES, parameter)


def strategy_of(name: object, *, parameter: str = "strategy") -> core_pb2.Strategy.ValueType:
    """parallel, sequential or batched; None leaves the choice to corun. Raises InvalidArgument."""
    return core_pb2.STRATEGY_UNSPECIFIED if name is None else _chosen(name, STRATEGIES, parameter)


def goal_of(name: object, *, parameter: str = "goal") -> core_pb2.OptimizationGoal.ValueType:
    """latency, throughput or memory. Raises InvalidArgument for anything else."""
    return _chosen(name, GOALS, parameter)


def platform_name(value: core_pb2.Platform.ValueType) -> str:
    """The guide's name, or "" for a value this client does not know."""
    return _named(value, PLATFORMS)


def strategy_name(value: core_pb2.Strategy.ValueType) -> str:
    """The guide's name, or "" for a value this client does not know."""
    return _named(value, STRATEGIES)


def goal_name(value: core_pb2.OptimizationGoal.ValueType) -> str:
    """The guide's name; unspecified is latency."""
    return _named(value, GOALS) or "latency"


def origin_name(value: core_pb2.WeightsOrigin.ValueType) -> str:
    """PRETRAINED, SEEDED, NONE (arithmetic without weights) or UNKNOWN."""
    return _ORIGINS.get(value, "UNKNOWN")


def _chosen(name: object, allowed: Mapping[str, _Value], parameter: str) -> _Value:
    if isinstance(name, str) and name in allowed:
        return allowed[name]
    raise InvalidArgument.of(parameter, f"{name!r} is not known; allowed: {', '.join(allowed)}")


def _named(value: object, names: Mapping[str, object]) -> str:
    return next((name for name, known in names.items() if known == value), "")
