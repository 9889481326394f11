"""Puts the validator together and takes it apart in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from corun.plumbing.server import Service
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from corun.validator.config import Settings
from corun.validator.servicer import ValidatorServicer
from corun.validator.store import Store


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The service, ready to be served; its database is closed when the context is left.

    Raises:
        DatabaseLocked: when another process holds the database.
        DatabaseFailed: when the database cannot be made or read.
    """
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.db_path)
        stack.push_async_callback(store.close)
        servicer = ValidatorServicer(store, settings)
        name = pb.DESCRIPTOR.services_by_name["ValidatorService"].full_name
        yield Service(name=name, servicer=servicer, add=add_ValidatorServiceServicer_to_server)
