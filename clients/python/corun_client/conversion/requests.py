"""Arguments of the client's methods to request messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corun.v1 import core_pb2, orchestrator_service_pb2
from corun_client.conversion.names import goal_of, platform_of, strategy_of
from corun_client.conversion.numbers import error_threshold_of, whole_number
from corun_client.conversion.preferences import browser_preferences_of
from corun_client.errors import InvalidArgument

ModelConfig = Mapping[str, object]
"""One model of a workload: `model_name`, and where wanted `model_type` and `batch_size` (1)."""

_MODEL_KEYS = ("model_name", "model_type", "batch_size")


def workload_of(
    models: Sequence[ModelConfig], *, iterations: int | None = None, parameter: str = "models"
) -> core_pb2.Workload:
    """The workload of these models. Raises InvalidArgument for what is not a list of model configs."""
    if isinstance(models, str | bytes | Mapping) or not isinstance(models, Sequence):
        raise InvalidArgument.of(parameter, f"expected a list of model configs; received {models!r}")
    workload = core_pb2.Workload(
        models=[_model_of(model, f"{parameter}[{index}]") for index, model in enumerate(models)]
    )
    if iterations is not None:
        workload.iterations = whole_number(iterations, parameter="iterations")
    return workload


def execute_request(
    *,
    workload: core_pb2.Workload,
    platform: object,
    strategy: object = None,
    goal: object = "latency",
    validation: orchestrator_service_pb2.ValidationPolicy | None = None,
    browser_preferences: object = None,
) -> orchestrator_service_pb2.ExecuteWithStrategyRequest:
    """Request of ExecuteWithStrategy."""
    return orchestrator_service_pb2.ExecuteWithStrategyRequest(
        workload=workload,
        platform=platform_of(platform),
        strategy=strategy_of(strategy),
        goal=goal_of(goal),
        validation=validation,
        browser_preferences=browser_preferences_of(browser_preferences),
    )


def compare_request(
    *,
    workload: core_pb2.Workload,
    platform: object,
    goal: object = "latency",
    strategies: Sequence[object] = (),
    rounds: int | None = None,
    browser_preferences: object = None,
) -> orchestrator_service_pb2.CompareStrategiesRequest:
    """Request of CompareStrategies. No strategies: all three."""
    if isinstance(strategies, str):
        raise InvalidArgument.of("strategies", f"expected a list of strategies; received {strategies!r}")
    if None in strategies:
        raise InvalidArgument.of("strategies", "None is not a strategy to compare; leave the list empty for all")
    request = orchestrator_service_pb2.CompareStrategiesRequest(
        workload=workload,
        platform=platform_of(platform),
        goal=goal_of(goal),
        strategies=[strategy_of(each, parameter=f"strategies[{i}]") for i, each in enumerate(strategies)],
        browser_preferences=browser_preferences_of(browser_preferences),
    )
    if rounds is not None:
        request.rounds = whole_number(rounds, parameter="rounds")
    return request


def validation_policy(
    *, interval: int | None = None, error_threshold: float | None = None, disabled: bool = False
) -> orchestrator_service_pb2.ValidationPolicy | None:
    """When to validate and how strictly; None where everything is left to the service's settings."""
    if interval is None and error_threshold is None and not disabled:
        return None
    policy = orchestrator_service_pb2.ValidationPolicy(disabled=disabled)
    if interval is not None:
        policy.interval = whole_number(interval, parameter="validation_interval")
    if error_threshold is not None:
        policy.error_threshold = error_threshold_of(error_threshold)
    return policy


def _model_of(model: object, where: str) -> core_pb2.ModelConfig:
    if not isinstance(model, Mapping):
        raise InvalidArgument.of(where, f"expected a mapping with {', '.join(_MODEL_KEYS)}; received {model!r}")
    unknown = [key for key in model if key not in _MODEL_KEYS]
    if unknown:
        raise InvalidArgument.of(f"{where}.{unknown[0]}", f"unknown key; allowed: {', '.join(_MODEL_KEYS)}")
    name, kind = model.get("model_name"), model.get("model_type") or ""
    if not isinstance(name, str):
        raise InvalidArgument.of(f"{where}.model_name", f"expected the name of a model; received {name!r}")
    if not name.isprintable():
        raise InvalidArgument.of(f"{where}.model_name", f"expected printable characters; received {name!r}")
    if not isinstance(kind, str):
        raise InvalidArgument.of(f"{where}.model_type", f"expected the name of a type; received {kind!r}")
    batch_size = whole_number(model.get("batch_size", 1), parameter=f"{where}.batch_size")
    return core_pb2.ModelConfig(model_name=name, model_type=kind, batch_size=batch_size)
