"""The real orchestrator over real gRPC, with fakes for its three peers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import grpc

from corun.orchestrator.build import build
from corun.orchestrator.config import Settings
from corun.plumbing.channel import CHANNEL_OPTIONS, open_channel
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
class FakePeers:
    """The fakes, and where they are served, as the orchestrator's settings name it."""

    predictor: FakePredictor
    pool: FakeResourcePool
    validator: FakeValidator
    targets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OrchestratorStack:
    """The fakes, and a client of the orchestrator that uses them."""

    predictor: FakePredictor
    pool: FakeResourcePool
    validator: FakeValidator
    client: OrchestratorServiceAsyncStub
    address: str


@asynccontextmanager
async def fake_peers() -> AsyncIterator[FakePeers]:
    """Serves the three fakes on ports of their own."""
    predictor, pool, validator = FakePredictor(), FakeResourcePool(), FakeValidator()
    services = {
        "predictor_target": Service("corun.v1.PredictorService", predictor, add_PredictorServiceServicer_to_server),
        "resource_pool_target": Service(
            "corun.v1.ResourcePoolService", pool, add_ResourcePoolServiceServicer_to_server
        ),
        "validator_target": Service("corun.v1.ValidatorService", validator, add_ValidatorServiceServicer_to_server),
    }
    async with AsyncExitStack() as stack:
        targets = {name: await stack.enter_async_context(served(service)) for name, service in services.items()}
        yield FakePeers(predictor, pool, validator, targets)


@asynccontextmanager
async def served(service: Service, *, port: int = 0, grace_seconds: float = 0) -> AsyncIterator[str]:
    """The address of a server with one service."""
    server = Server(host="127.0.0.1", port=port, grace_seconds=grace_seconds)
    async with server.serving([service]):
        yield server.address


@asynccontextmanager
async def orchestrator_with(peers: FakePeers, folder: Path, **settings: Any) -> AsyncIterator[OrchestratorStack]:
    """An orchestrator that keeps its state in `folder`; `settings` are its own and may name other targets. It ends
    before its client does."""
    async with AsyncExitStack() as clients, AsyncExitStack() as stack:
        given = {"state_folder": folder, **peers.targets, **settings}
        service = await stack.enter_async_context(build(Settings(**given)))
        address = await stack.enter_async_context(served(service, grace_seconds=2))
        channel = open_channel(address)
        clients.push_async_callback(channel.close)
        client = OrchestratorServiceStub(channel)
        yield OrchestratorStack(peers.predictor, peers.pool, peers.validator, client, address)


@asynccontextmanager
async def orchestrator_stack(**settings: Any) -> AsyncIterator[OrchestratorStack]:
    """The fakes and an orchestrator with a folder of its own."""
    with TemporaryDirectory() as folder:
        async with fake_peers() as peers, orchestrator_with(peers, Path(folder), **settings) as stack:
            yield stack


@asynccontextmanager
async def another_client(stack: OrchestratorStack) -> AsyncIterator[OrchestratorServiceAsyncStub]:
    """A client with a connection of its own."""
    # Channels of one process to one address share a connection, unless they are told not to.
    options = [*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(stack.address, options=options) as channel:
        yield OrchestratorServiceStub(channel)


def dead_target() -> str:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def workload(*names: str, batch_size: int = 2, iterations: int | None = None) -> core_pb2.Workload:
    """These models, each with the same batch size."""
    models = [core_pb2.ModelConfig(model_name=name, batch_size=batch_size) for name in names]
    return core_pb2.Workload(models=models, iterations=iterations)
