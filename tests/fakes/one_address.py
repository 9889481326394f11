"""The real orchestrator and the fakes of its peers on one address, as `corun up` hosts the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from corun.orchestrator.build import build
from corun.orchestrator.config import Settings
from corun.plumbing.server import Server, Service
from corun.v1.predictor_service_pb2_grpc import add_PredictorServiceServicer_to_server
from corun.v1.resource_pool_service_pb2_grpc import add_ResourcePoolServiceServicer_to_server
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from tests.fakes.fake_predictor import FakePredictor
from tests.fakes.fake_resource_pool import FakeResourcePool
from tests.fakes.fake_validator import FakeValidator


@dataclass(frozen=True, slots=True)
class OneAddress:
    """The fakes, and the address of all four services."""

    predictor: FakePredictor
    pool: FakeResourcePool
    validator: FakeValidator
    target: str


@asynccontextmanager
async def one_address() -> AsyncIterator[OneAddress]:
    """Serves until the context is left."""
    predictor, pool, validator = FakePredictor(), FakeResourcePool(), FakeValidator()
    server = Server(host="127.0.0.1", port=0, grace_seconds=0)
    target = f"127.0.0.1:{server.port}"
    with TemporaryDirectory() as folder:
        settings = Settings(
            predictor_target=target,
            resource_pool_target=target,
            validator_target=target,
            state_folder=Path(folder),
        )
        async with _serving(server, settings, predictor, pool, validator):
            yield OneAddress(predictor, pool, validator, target)


@asynccontextmanager
async def _serving(
    server: Server, settings: Settings, predictor: FakePredictor, pool: FakeResourcePool, validator: FakeValidator
) -> AsyncIterator[None]:
    async with build(settings) as orchestrator:
        services = [
            Service("corun.v1.PredictorService", predictor, add_PredictorServiceServicer_to_server),
            Service("corun.v1.ResourcePoolService", pool, add_ResourcePoolServiceServicer_to_server),
            Service("corun.v1.ValidatorService", validator, add_ValidatorServiceServicer_to_server),
            orchestrator,
        ]
        async with server.serving(services):
            yield
