"""The real orchestrator over real gRPC, with fakes for its three peers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from corun.orchestrator.build import build
from corun.orchestrator.config import Settings
from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server, Service
from corun.v1 import core_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.predictor_service_pb2_grpc import add_PredictorServiceServicer_to_server
from corun.v1.resource_pool_service_pb2_grpc import add_ResourcePoolServiceServicer_to_server
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from tests.fakes.fake_predictor import FakePredictor
from tests.fakes.fake_resource_pool import FakeResourcePool
from tests.fakes.fake_validator import FakeValidator

if TYPE_CHECKING:  # only the type stubs have it
    from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub


@dataclass(frozen=True, slots=True)
class OrchestratorStack:
    """The fakes, and a client of the orchestrator that uses them."""

    predictor: FakePredictor
    pool: FakeResourcePool
    validator: FakeValidator
    client: OrchestratorServiceAsyncStub
    address: str


@asynccontextmanager
async def orchestrator_stack(**settings: Any) -> AsyncIterator[OrchestratorStack]:
    """Serves all four on ports of their own; `settings` are the orchestrator's and may name other targets."""
    predictor, pool, validator = FakePredictor(), FakeResourcePool(), FakeValidator()
    async with AsyncExitStack() as stack:

        async def served(service: Service) -> str:
            server = Server(host="127.0.0.1", port=0, grace_seconds=0)
            await stack.enter_async_context(server.serving([service]))
            return server.address

        targets = {
            "predictor_target": await served(
                Service("corun.v1.PredictorService", predictor, add_PredictorServiceServicer_to_server)
            ),
            "resource_pool_target": await served(
                Service("corun.v1.ResourcePoolService", pool, add_ResourcePoolServiceServicer_to_server)
            ),
            "validator_target": await served(
                Service("corun.v1.ValidatorService", validator, add_ValidatorServiceServicer_to_server)
            ),
        }
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = await stack.enter_async_context(build(Settings(**({"state_folder": folder} | targets | settings))))
        address = await served(service)
        channel = open_channel(address)
        stack.push_async_callback(channel.close)
        yield OrchestratorStack(predictor, pool, validator, OrchestratorServiceStub(channel), address)


def dead_target() -> str:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def workload(*names: str, batch_size: int = 2, iterations: int | None = None) -> core_pb2.Workload:
    """These models, each with the same batch size."""
    models = [core_pb2.ModelConfig(model_name=name, batch_size=batch_size) for name in names]
    return core_pb2.Workload(models=models, iterations=iterations)
