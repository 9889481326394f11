"""Validations with known errors on a real validator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.build import build
from corun.validator.config import Settings

if TYPE_CHECKING:
    from corun.v1.validator_service_pb2_grpc import ValidatorServiceAsyncStub


@asynccontextmanager
async def hosted_validator(db_path: Path, **settings: Any) -> AsyncIterator[str]:
    """The address of a validator with its own database on a server of its own."""
    given = Settings(port=0, db_path=db_path, grace_seconds=0.5, **settings)
    server = Server(host=given.host, port=given.port, grace_seconds=given.grace_seconds)
    async with build(given) as service, server.serving([service]):
        yield server.address


@asynccontextmanager
async def serving_validator(db_path: Path, **settings: Any) -> AsyncIterator[ValidatorServiceAsyncStub]:
    """A client of such a validator."""
    async with hosted_validator(db_path, **settings) as address, open_channel(address) as channel:
        yield ValidatorServiceStub(channel)


def execution(
    execution_id: str, *, latency: float = 0.0, platform: str = "WASM", strategy: str = "PARALLEL", **changes: Any
) -> pb.ExecutionRecord:
    """An execution whose latency was predicted with this relative error, signed, and everything else exactly."""
    record = pb.ExecutionRecord(
        execution_id=execution_id,
        workload=core.Workload(models=[core.ModelConfig(model_name="bert", batch_size=1)]),
        platform=core.Platform.Value(f"PLATFORM_{platform}"),
        strategy=core.Strategy.Value(f"STRATEGY_{strategy}"),
        engine="chromium",
        predictor_version="1",
        measured=pb.RecordedPerformance(latency_ms=100, throughput_items_per_second=10, memory_mb=50),
        predicted=pb.RecordedPerformance(latency_ms=100 * (1 + latency), throughput_items_per_second=10, memory_mb=50),
    )
    record.MergeFrom(pb.ExecutionRecord(**changes))
    return record


async def recorded(
    validator: ValidatorServiceAsyncStub, execution_id: str, **content: Any
) -> pb.ValidatePredictionResponse:
    """Validates such an execution."""
    return await validator.ValidatePrediction(
        pb.ValidatePredictionRequest(execution=execution(execution_id, **content))
    )
