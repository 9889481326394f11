"""What the orchestrator refuses before it accepts: statuses that point at the caller's own fields."""

from __future__ import annotations

from collections.abc import AsyncIterable

import grpc
import pytest

from corun.errors import ModelRefused, ModelUnreachable, PoolFull
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload

METHODS = ["ExecuteWithStrategy", "CompareStrategies"]


async def refusal(
    stack: OrchestratorStack,
    method: str,
    asked: core_pb2.Workload,
    platform: core_pb2.Platform.ValueType = core_pb2.PLATFORM_WASM,
) -> RemoteError:
    """The status that ends the call before any event."""
    execute = orchestrator_pb2.ExecuteWithStrategyRequest(workload=asked, platform=platform)
    compare = orchestrator_pb2.CompareStrategiesRequest(workload=asked, platform=platform)
    call: AsyncIterable[object]
    if method == "ExecuteWithStrategy":
        call = stack.client.ExecuteWithStrategy(execute, timeout=20)
    else:
        call = stack.client.CompareStrategies(compare, timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(aiter(call))
    return RemoteError.from_rpc(raised.value)


@pytest.mark.parametrize("method", METHODS)
async def test_an_unknown_model_is_found_in_the_callers_workload(method: str) -> None:
    async with orchestrator_stack() as stack:
        error = await refusal(stack, method, workload("fake-text", "fake-text", "no-such-model"))
        assert stack.predictor.recommend_requests == []
    assert (error.code, error.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
    assert [each.field for each in error.violations] == ["workload.models[2].model_name"]
    assert error.metadata == {"model_name": "no-such-model", "available": "fake-audio, fake-text, fake-vision"}


@pytest.mark.parametrize("method", METHODS)
async def test_a_model_type_that_is_not_the_models_is_refused_with_both_types(method: str) -> None:
    asked = workload("fake-text", "fake-audio")
    asked.models[0].model_type = "text_embedding"
    asked.models[1].model_type = "vision"
    async with orchestrator_stack() as stack:
        error = await refusal(stack, method, asked)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [each.field for each in error.violations] == ["workload.models[1].model_type"]
    assert "is of type 'audio'; received 'vision'" in error.message


@pytest.mark.parametrize("method", METHODS)
async def test_a_platform_that_no_engine_supports_is_refused_with_those_that_are(method: str) -> None:
    async with orchestrator_stack() as stack:
        error = await refusal(stack, method, workload("fake-text"), core_pb2.PLATFORM_WEBNN)
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "PLATFORM_UNAVAILABLE")
    assert error.metadata == {"platform": "webnn", "offered": "wasm, webgpu"}
    assert "missing-engine: not installed; fake-engine: no such API" in error.message


@pytest.mark.parametrize("method", METHODS)
async def test_a_pool_that_is_down_is_named_with_its_address(method: str) -> None:
    target = dead_target()
    async with orchestrator_stack(resource_pool_target=target) as stack:
        error = await refusal(stack, method, workload("fake-text"))
    assert (error.code, error.reason) == ("UNAVAILABLE", "PEER_UNAVAILABLE")
    assert error.metadata == {"service": "resource pool", "target": target}


@pytest.mark.parametrize("method", METHODS)
async def test_a_model_that_the_pool_refuses_is_found_in_the_callers_workload(method: str) -> None:
    async with orchestrator_stack() as stack:
        stack.pool.list_error = ModelRefused("fake-text", "external data", field="names[1]")
        error = await refusal(stack, method, workload("fake-audio", "fake-audio", "fake-text"))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "MODEL_REFUSED")
    assert [each.field for each in error.violations] == ["workload.models[2].model_name"]
    assert error.metadata == {"model_name": "fake-text", "problem": "external data"}


async def test_a_model_that_the_pool_cannot_reach_is_found_in_the_callers_workload() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.list_error = ModelUnreachable("fake-text", "the Hub does not answer", field="names[1]")
        error = await refusal(stack, "ExecuteWithStrategy", workload("fake-audio", "fake-text"))
    assert (error.code, error.reason) == ("UNAVAILABLE", "MODEL_UNREACHABLE")
    assert [each.field for each in error.violations] == ["workload.models[1].model_name"]


async def test_other_refusals_of_the_pool_pass_through() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.list_error = PoolFull(max_connections=1, waited_seconds=1, retry_after_seconds=2)
        error = await refusal(stack, "ExecuteWithStrategy", workload("fake-text"))
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")


async def test_a_request_that_breaks_a_rule_reaches_no_peer() -> None:
    async with orchestrator_stack() as stack:
        error = await refusal(stack, "ExecuteWithStrategy", workload("fake-text", batch_size=0))
        assert stack.pool.list_requests == []
    assert error.reason == "INVALID_FIELD"
    assert [each.field for each in error.violations] == ["workload.models[0].batch_size"]


async def test_metrics_without_a_validator_are_unavailable() -> None:
    target = dead_target()
    async with orchestrator_stack(validator_target=target) as stack:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stack.client.GetValidationMetrics(
                orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest(), timeout=20
            )
    error = RemoteError.from_rpc(raised.value)
    assert (error.code, error.reason) == ("UNAVAILABLE", "PEER_UNAVAILABLE")
    assert error.metadata == {"service": "validator", "target": target}
