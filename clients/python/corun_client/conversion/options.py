"""What executions and comparisons may be told beyond the workload and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TypedDict

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.numbers import whole_number
from corun_client.conversion.tensors import tensor_of
from corun_client.errors import InvalidArgument

CONFIGURATION = {
    "parallel_threshold": "parallel_threshold",
    "sequential_threshold": "sequential_threshold",
    "batching_size": "batching_size",
    "memory_threshold": "memory_threshold_mb",
}
"""The guide's names, and those of the contract."""


class CommonOptions(TypedDict, total=False):
    """Of executions and comparisons.

    Attributes:
        request_id: A repeat of a request with this id gets the first one's events and runs nothing.
        client_id: Who asks; clients share browsers fairly. The connection by default.
        reattach_seconds: How long the work goes on when this client is gone, for `watch_execution`. 0 by default.
        configuration: Bounds of the choice: `parallel_threshold`, `sequential_threshold`, `batching_size` and
            `memory_threshold` (megabytes); what is left out is the service's.
    """

    request_id: str
    client_id: str
    reattach_seconds: float
    configuration: Mapping[str, object]


class ExecuteOptions(CommonOptions, total=False):
    """Of executions.

    Attributes:
        allow_threshold_choice: Choose by the thresholds alone where the predictor does not answer and no strategy is
            given.
        inputs: Own inputs of models, by their index in the workload: arrays by the name of the graph's input.
        return_outputs: Add `outputs` to the report: what each model gave back in the last iteration.
        return_measurements: False leaves single runs, lanes and iterations out of the report.
    """

    allow_threshold_choice: bool
    inputs: Mapping[int, Mapping[str, object]]
    return_outputs: bool
    return_measurements: bool


class CompareOptions(CommonOptions, total=False):
    """Of comparisons.

    Attributes:
        max_rounds: Most rounds where `rounds` is not given; 10 by default.
    """

    max_rounds: int


def set_execute_options(request: orchestrator_pb2.ExecuteWithStrategyRequest, options: ExecuteOptions) -> None:
    """Puts the options into the request.

    Raises:
        InvalidArgument: for a value that breaks its rule.
    """
    _set_common(request, options)
    request.allow_threshold_choice = options.get("allow_threshold_choice", False)
    request.return_outputs = options.get("return_outputs", False)
    if "return_measurements" in options:
        request.return_measurements = options["return_measurements"]
    inputs = options.get("inputs", {})
    if not isinstance(inputs, Mapping):
        raise InvalidArgument.of("inputs", f"expected a mapping of indexes to arrays by name; received {inputs!r}")
    for member, arrays in inputs.items():
        where = f"inputs[{member!r}]"
        if not isinstance(arrays, Mapping):
            raise InvalidArgument.of(where, f"expected arrays by the name of the input; received {arrays!r}")
        request.inputs.append(
            pool_pb2.MemberInput(
                member=whole_number(member, parameter=where),
                tensors=[tensor_of(name, array, parameter=where) for name, array in arrays.items()],
            )
        )


def set_compare_options(request: orchestrator_pb2.CompareStrategiesRequest, options: CompareOptions) -> None:
    """Puts the options into the request.

    Raises:
        InvalidArgument: for a value that breaks its rule.
    """
    _set_common(request, options)
    if "max_rounds" in options:
        request.max_rounds = whole_number(options["max_rounds"], parameter="max_rounds")


def configuration_of(configuration: object, *, parameter: str = "configuration") -> predictor_pb2.StrategyConfiguration:
    """Bounds of the choice by the guide's names.

    Raises:
        InvalidArgument: for a name that there is not, or a value that is no number.
    """
    if not isinstance(configuration, Mapping):
        raise InvalidArgument.of(parameter, f"expected a mapping; received {configuration!r}")
    message = predictor_pb2.StrategyConfiguration()
    for name, value in configuration.items():
        where = f"{parameter}.{name}"
        if name not in CONFIGURATION:
            raise InvalidArgument.of(where, f"unknown key; allowed: {', '.join(CONFIGURATION)}")
        if name == "memory_threshold":
            message.memory_threshold_mb = _number(value, where)
        else:
            setattr(message, CONFIGURATION[name], whole_number(value, parameter=where))
    return message


def _set_common(
    request: orchestrator_pb2.ExecuteWithStrategyRequest | orchestrator_pb2.CompareStrategiesRequest,
    options: CommonOptions,
) -> None:
    request.request_id = options.get("request_id", "")
    request.client_id = options.get("client_id", "")
    seconds = _number(options.get("reattach_seconds", 0.0), "reattach_seconds", at_least=0.0)
    if seconds > 0:
        request.reattach_window.FromMilliseconds(int(seconds * 1000))
    if "configuration" in options:
        request.configuration.CopyFrom(configuration_of(options["configuration"]))


def _number(value: object, parameter: str, *, at_least: float | None = None) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        if at_least is None or value >= at_least:
            return float(value)
        raise InvalidArgument.of(parameter, f"expected at least {at_least:g}; received {value!r}")
    raise InvalidArgument.of(parameter, f"expected a finite number; received {value!r}")
