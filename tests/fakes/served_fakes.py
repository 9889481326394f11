"""Fakes that come and go at addresses that stay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from corun.plumbing.server import Service
from corun.v1.predictor_service_pb2_grpc import add_PredictorServiceServicer_to_server
from corun.v1.resource_pool_service_pb2_grpc import add_ResourcePoolServiceServicer_to_server
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from tests.fakes.fake_predictor import FakePredictor
from tests.fakes.fake_resource_pool import FakeResourcePool
from tests.fakes.fake_validator import FakeValidator
from tests.fakes.orchestrator_stack import served

_SERVICES: dict[type, tuple[str, Callable[[Any, Any], None]]] = {
    FakePredictor: ("corun.v1.PredictorService", add_PredictorServiceServicer_to_server),
    FakeResourcePool: ("corun.v1.ResourcePoolService", add_ResourcePoolServiceServicer_to_server),
    FakeValidator: ("corun.v1.ValidatorService", add_ValidatorServiceServicer_to_server),
}


@asynccontextmanager
async def at(target: str, fake: FakePredictor | FakeResourcePool | FakeValidator) -> AsyncIterator[None]:
    """Serves the fake at HOST:PORT; afterwards nobody answers there."""
    name, add = _SERVICES[type(fake)]
    async with served(Service(name, fake, add), port=int(target.rpartition(":")[2])):
        yield
