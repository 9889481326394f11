"""What every service gives its clients besides its own calls: health, reflection, limits, clear errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from corun.errors import PoolFull
from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server, Service
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub, add_ValidatorServiceServicer_to_server
from tests.fakes.fake_validator import FakeValidator

NAME = "corun.v1.ValidatorService"


@asynccontextmanager
async def served(validator: FakeValidator) -> AsyncIterator[grpc.aio.Channel]:
    server = Server(host="127.0.0.1", port=0)
    service = Service(NAME, validator, add_ValidatorServiceServicer_to_server)
    async with server.serving([service]), open_channel(server.address) as channel:
        yield channel


async def failure(raised: Exception) -> RemoteError:
    async with served(FakeValidator(error=raised)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ValidatorServiceStub(channel).GetValidationMetrics(validator_pb2.GetValidationMetricsRequest())
    return RemoteError.from_rpc(caught.value)


async def test_an_error_of_ours_travels_with_its_reason_and_its_advice() -> None:
    error = await failure(PoolFull(max_connections=4, waited_seconds=1.5, retry_after_seconds=2.5))
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
    assert error.metadata == {"max_connections": "4"}
    assert error.retry_after_seconds == pytest.approx(2.5)


async def test_a_defect_tells_a_client_nothing_of_the_inside() -> None:
    error = await failure(KeyError("a secret of the server"))
    assert (error.code, error.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in error.message
    assert "Traceback" not in error.message


async def test_a_message_over_four_megabytes_passes() -> None:
    runs = [validator_pb2.RecordedRun(model_name="m" * 100, run_time_ms=1.0)] * 50_000
    figures = validator_pb2.RecordedPerformance(latency_ms=1.0, throughput_items_per_second=1.0)
    execution = validator_pb2.ExecutionRecord(
        execution_id="large",
        workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="m", batch_size=1)]),
        platform=core_pb2.PLATFORM_WASM,
        strategy=core_pb2.STRATEGY_PARALLEL,
        measured=figures,
        runs=runs,
    )
    request = validator_pb2.RecordExecutionRequest(execution=execution)
    assert request.ByteSize() > 5_000_000
    async with served(FakeValidator()) as channel:
        assert (await ValidatorServiceStub(channel).RecordExecution(request)).newly_recorded


async def test_health_and_reflection_know_the_service() -> None:
    async with served(FakeValidator()) as channel:
        probe: Any = health_pb2_grpc.HealthStub(channel)
        health = await probe.Check(health_pb2.HealthCheckRequest(service=NAME))
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        ask: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # its stubs know no aio
        stream = ask.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        async for answer in stream:
            assert NAME in [each.name for each in answer.list_services_response.service]
            break
        stream.cancel()


async def test_a_taken_port_is_an_error_that_names_it() -> None:
    first = Server(host="127.0.0.1", port=0)
    async with first.serving([]):
        with pytest.raises(OSError, match=first.address):
            Server(host="127.0.0.1", port=first.port)
