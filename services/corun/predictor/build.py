"""Puts the predictor together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from corun.plumbing.server import Service
from corun.predictor.config import Settings
from corun.predictor.journal import Journal
from corun.predictor.predictor import Predictor
from corun.predictor.refining import Refiner
from corun.predictor.servicer import PredictorServicer
from corun.predictor.versions import VersionStore
from corun.v1 import predictor_service_pb2
from corun.v1.predictor_service_pb2_grpc import add_PredictorServiceServicer_to_server

NAME = predictor_service_pb2.DESCRIPTOR.services_by_name["PredictorService"].full_name


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The service, knowing what its folder holds; the folder is let go of in the end.

    Raises:
        FolderHeld: when another process holds the folder.
        OSError: when the folder cannot be read or written.
    """
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(await asyncio.to_thread(Journal, settings.state_folder))
        versions = await asyncio.to_thread(VersionStore, settings.state_folder / "versions")
        predictor = await stack.enter_async_context(await asyncio.to_thread(Predictor, journal, versions))
        yield Service(NAME, PredictorServicer(predictor, Refiner(predictor)), add_PredictorServiceServicer_to_server)
