"""Arguments to requests."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from corun.v1 import core_pb2
from corun_client.conversion.requests import compare_request, execute_request, validation_policy, workload_of
from corun_client.errors import InvalidArgument

BERT = {"model_name": "bert-base-uncased", "model_type": "text_embedding", "batch_size": 4}


def test_model_configs_become_the_workload() -> None:
    workload = workload_of([BERT, {"model_name": "vit"}], iterations=3)
    assert workload.models[0] == core_pb2.ModelConfig(
        model_name="bert-base-uncased", model_type="text_embedding", batch_size=4
    )
    assert (workload.models[1].model_type, workload.models[1].batch_size, workload.iterations) == ("", 1, 3)


@pytest.mark.parametrize("batch_size", [-1, 0, 1_000_000_000])
def test_a_batch_size_that_fits_the_wire_is_left_to_the_service_to_judge(batch_size: int) -> None:
    assert workload_of([BERT | {"batch_size": batch_size}]).models[0].batch_size == batch_size


@pytest.mark.parametrize(
    ("models", "where"),
    [
        ("bert", "models:"),
        ({"model_name": "bert"}, "models:"),
        (["bert"], "models[0]:"),
        ([BERT, {"model_nam": "x"}], "models[1].model_nam:"),
        ([{"batch_size": 1}], "models[0].model_name:"),
        ([{"model_name": None}], "models[0].model_name:"),
        ([BERT | {"model_type": 3}], "models[0].model_type:"),
        ([BERT | {"batch_size": True}], "models[0].batch_size:"),
        ([BERT | {"batch_size": 1.5}], "models[0].batch_size:"),
        ([BERT | {"batch_size": "4"}], "models[0].batch_size:"),
        ([BERT | {"batch_size": None}], "models[0].batch_size:"),
        ([BERT | {"batch_size": 2**31}], "models[0].batch_size:"),
    ],
)
def test_what_is_no_model_config_is_refused_where_it_stands(models: Any, where: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        workload_of(models)
    assert caught.value.message.startswith(where)


def test_an_execution_without_strategy_and_policy_leaves_both_to_the_service() -> None:
    request = execute_request(workload=workload_of([BERT]), platform="wasm")
    assert request.strategy == core_pb2.STRATEGY_UNSPECIFIED
    assert not request.HasField("validation")


def test_rounds_and_strategies_are_sent_only_when_given() -> None:
    bare = compare_request(workload=workload_of([BERT]), platform="wasm")
    assert (list(bare.strategies), bare.HasField("rounds")) == ([], False)
    full = compare_request(workload=workload_of([BERT]), platform="wasm", strategies=["batched"], rounds=5)
    assert (list(full.strategies), full.rounds) == ([core_pb2.STRATEGY_BATCHED], 5)


@pytest.mark.parametrize("strategies", ["parallel", [None], ["parallel", "fast"]])
def test_strategies_to_compare_must_be_a_list_of_strategies(strategies: Any) -> None:
    with pytest.raises(InvalidArgument, match="strategies"):
        compare_request(workload=workload_of([BERT]), platform="wasm", strategies=strategies)


def test_a_policy_carries_only_what_was_asked_for() -> None:
    assert validation_policy() is None
    policy = validation_policy(interval=2)
    assert policy is not None
    assert (policy.interval, policy.HasField("error_threshold"), policy.disabled) == (2, False, False)
    disabled = validation_policy(disabled=True)
    assert disabled is not None
    assert disabled.disabled


@pytest.mark.parametrize("threshold", [nan, inf, -0.1, 0, 101, True, "0.1"])
def test_a_threshold_that_is_no_sensible_fraction_is_refused_by_name_and_value(threshold: Any) -> None:
    with pytest.raises(InvalidArgument, match="error_threshold") as caught:
        validation_policy(error_threshold=threshold)
    assert repr(threshold) in caught.value.message
