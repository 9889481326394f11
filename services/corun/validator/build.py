"""Puts the validator together and takes it apart in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog

from corun.errors import CorunError
from corun.plumbing.server import Service
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from corun.validator.config import Settings
from corun.validator.querying import Queries, QueryLimits
from corun.validator.retention import Retention
from corun.validator.servicer import ValidatorServicer
from corun.validator.snapshots import Snapshots
from corun.validator.store import Store

_log = structlog.get_logger(__name__)

_PRUNE_SECONDS = 600.0


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The service, ready to be served; its database is closed when the context is left.

    Health tells of the part `record`, which is out of order after a start that found acknowledged rows missing.

    Raises:
        DatabaseLocked: when another process holds the database.
        DatabaseFailed: when the database cannot be made or read.
    """
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.db_path, capacity=settings.write_capacity)
        stack.push_async_callback(store.close)
        snapshots = Snapshots(store)
        stack.push_async_callback(snapshots.close)
        limits = QueryLimits(
            seconds=settings.query_seconds,
            memory_bytes=settings.query_memory_bytes,
            result_bytes=settings.query_result_bytes,
            concurrency=settings.query_concurrency,
        )
        retention = Retention(settings.retention_days, settings.retention_bytes)
        if retention.is_set:
            await stack.enter_async_context(_pruning(store, retention))
        servicer = ValidatorServicer(store, Queries(snapshots, limits, path=settings.db_path), settings)
        name = pb.DESCRIPTOR.services_by_name["ValidatorService"].full_name

        async def parts() -> AsyncIterator[Mapping[str, bool]]:
            yield {"record": store.incident is None}

        yield Service(name=name, servicer=servicer, add=add_ValidatorServiceServicer_to_server, parts=parts)


@asynccontextmanager
async def _pruning(store: Store, retention: Retention) -> AsyncIterator[None]:
    """Keeps the record within its limits: once before it is used, then every ten minutes."""
    await store.prune(retention)

    async def prune_again() -> None:
        while True:
            await asyncio.sleep(_PRUNE_SECONDS)
            try:
                await store.prune(retention)
            except CorunError as error:
                _log.warning("old records could not be deleted", problem=error.message)

    task = asyncio.create_task(prune_again())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
