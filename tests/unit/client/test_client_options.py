"""Options of executions and comparisons as they go into requests."""

from __future__ import annotations

import numpy as np
import pytest

from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client.conversion.executions import execution_entry
from corun_client.conversion.options import (
    ExecuteOptions,
    configuration_of,
    set_compare_options,
    set_execute_options,
)
from corun_client.errors import InvalidArgument
from tests.fakes.client_services import summary


def with_options(options: ExecuteOptions) -> orchestrator_pb2.ExecuteWithStrategyRequest:
    request = orchestrator_pb2.ExecuteWithStrategyRequest()
    set_execute_options(request, options)
    return request


def test_every_option_reaches_the_request() -> None:
    request = with_options(
        {
            "request_id": "one",
            "client_id": "ada",
            "reattach_seconds": 2.5,
            "configuration": {"parallel_threshold": 4, "memory_threshold": 6000},
            "allow_threshold_choice": True,
            "inputs": {1: {"x": np.zeros((2, 3), dtype=np.float32)}},
            "return_outputs": True,
            "return_measurements": False,
        }
    )
    assert (request.request_id, request.client_id) == ("one", "ada")
    assert request.reattach_window.ToMilliseconds() == 2500
    assert (request.configuration.parallel_threshold, request.configuration.memory_threshold_mb) == (4, 6000)
    assert not request.configuration.HasField("batching_size")
    assert (request.allow_threshold_choice, request.return_outputs, request.return_measurements) == (True, True, False)
    (given,) = request.inputs
    assert (given.member, given.tensors[0].name, list(given.tensors[0].shape)) == (1, "x", [2, 3])
    assert given.tensors[0].data_type == core_pb2.DATA_TYPE_FLOAT32


def test_without_options_everything_is_left_to_the_service() -> None:
    assert with_options({}) == orchestrator_pb2.ExecuteWithStrategyRequest()
    request = orchestrator_pb2.CompareStrategiesRequest()
    set_compare_options(request, {"max_rounds": 6})
    assert request == orchestrator_pb2.CompareStrategiesRequest(max_rounds=6)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"reattach_seconds": -1}, "reattach_seconds"),
        ({"reattach_seconds": float("nan")}, "reattach_seconds"),
        ({"configuration": {"speed": 1}}, "configuration.speed"),
        ({"configuration": {"parallel_threshold": 1.5}}, "configuration.parallel_threshold"),
        ({"configuration": {"memory_threshold": "much"}}, "configuration.memory_threshold"),
        ({"configuration": 3}, "configuration"),
        ({"inputs": [1]}, "inputs"),
        ({"inputs": {0: 1}}, "inputs[0]"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(options: ExecuteOptions, field: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        with_options(options)
    assert [each.field for each in raised.value.violations] == [field]


def test_the_guides_configuration_is_understood() -> None:
    message = configuration_of(
        {"parallel_threshold": 4, "sequential_threshold": 10, "batching_size": 5, "memory_threshold": 6000}
    )
    assert (message.parallel_threshold, message.sequential_threshold, message.batching_size) == (4, 10, 5)


def test_a_kept_execution_is_a_plain_dict() -> None:
    entry = execution_entry(summary("e-1"))
    assert (entry["execution_id"], entry["kind"], entry["state"]) == ("e-1", "execution", "cancelled")
    assert (entry["hardware_platform"], entry["model_names"]) == ("wasm", ["bert-base-uncased"])
    assert (entry["end_time"], entry["last_sequence"]) == ("", 7)
