"""Getting a leased browser ready: the lanes that are needed, with their models loaded and inputs in place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corun.errors import InferenceFailed, PlatformUnavailable
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import Lane, LaneFailed, RunReply
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.core.events import Event, ModelLoaded
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.models import Model
from corun.resource_pool.models.platform_files import PlatformFiles
from corun.resource_pool.pool import Lease

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Longest time, in seconds, that one step in a browser may take."""

    load_seconds: float
    run_seconds: float
    transfer_seconds: float


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares leased browsers.

    Attributes:
        pages: Where models are published for the lanes to fetch.
        files: What each platform is given to load.
        limits: Time limits of the steps.
    """

    pages: PageServer
    files: PlatformFiles
    limits: StepLimits

    async def lanes(self, lease: Lease, needs: tuple[LaneNeed, ...], *, platform: str) -> list[Lane]:
        """Finds or opens lanes as the placement says; gives them back in the order of `needs`."""
        connection = lease.connection
        lanes = []
        for need, lane_id in zip(needs, lease.placement.lane_ids, strict=True):
            if lane_id is not None:
                lanes.append(connection.lanes[lane_id])
                continue
            try:
                lanes.append(await connection.open_lane(platform=platform, width=need.width))
            except LaneFailed as error:
                raise PlatformUnavailable(platform, [], str(error)) from error
        return lanes

    async def load(self, lane: Lane, model: Model, *, lane_number: int, emit: Emit) -> float:
        """Loads a model unless the lane holds it; gives back the milliseconds it took.

        Raises:
            InferenceFailed: the runtime refused it; the lane is not usable afterwards.
        """
        already = model.name in lane.model_names
        load_time_ms = 0.0
        if not already:
            urls = {}
            for part, own in model.files.items():
                file = await asyncio.to_thread(self.files.file_for, own, lane.platform)
                urls[part] = self.pages.publish_model(file.sha256, file.path)
            try:
                if model.recipe is None:
                    load_time_ms = await lane.load(model.name, urls["model"], timeout=self.limits.load_seconds)
                else:
                    load_time_ms = await lane.load_parts(
                        model.name, urls, model.recipe, timeout=self.limits.load_seconds
                    )
            except LaneFailed as error:
                raise InferenceFailed(model.name, str(error)) from error
        emit(ModelLoaded(model.name, lane_number, load_time_ms, model.weights_origin, already))
        return load_time_ms

    async def put(self, lane: Lane, slot: str, tensors: Mapping[str, Array]) -> None:
        """Puts inputs into a lane."""
        await lane.put(slot, tensors, timeout=self.limits.transfer_seconds)

    async def run(self, lane: Lane, model_name: str, slot: str, *, fetch: bool = False) -> RunReply:
        """Runs a model in its lane.

        Raises:
            InferenceFailed: the runtime refused; the message is its own.
        """
        try:
            return await lane.run(model_name, slot, fetch=fetch, timeout=self.limits.run_seconds)
        except LaneFailed as error:
            raise InferenceFailed(model_name, str(error)) from error
