"""Getting leased browsers ready: the lanes that are needed, with their models loaded and inputs in place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corun.errors import BrowserLost, InferenceFailed
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import Lane, RunReply
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.core.events import Event
from corun.resource_pool.core.placement import ConnectionNeed, Seat
from corun.resource_pool.core.platform_health import PlatformHealth
from corun.resource_pool.models import Model
from corun.resource_pool.models.platform_files import PlatformFiles
from corun.resource_pool.pool import Lease

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Longest time, in seconds, that one step in a browser may take."""

    open_seconds: float
    load_seconds: float
    run_seconds: float
    transfer_seconds: float


@dataclass(frozen=True, slots=True)
class LeasedLane:
    """A lane of a leased browser: where steps are taken, each of which renews the lease."""

    lease: Lease
    connection: BrowserConnection
    lane: Lane


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares leased browsers, and runs what they hold.

    Attributes:
        pages: Where models are published for the lanes to fetch.
        files: What each platform is given to load.
        health: Told what works and what does not.
        limits: Time limits of the steps.
    """

    pages: PageServer
    files: PlatformFiles
    health: PlatformHealth
    limits: StepLimits

    async def lanes(self, lease: Lease, needs: tuple[ConnectionNeed, ...]) -> list[list[LeasedLane]]:
        """Finds or opens lanes as the placement says; for each browser, in the order of what it needs."""
        found = []
        for need, connection, seat in zip(needs, lease.connections, lease.seats, strict=True):
            found.append(await self._lanes_of(lease, connection, need, seat))
        return found

    async def _lanes_of(
        self, lease: Lease, connection: BrowserConnection, need: ConnectionNeed, seat: Seat
    ) -> list[LeasedLane]:
        lanes = []
        for lane_need, lane_id in zip(need.lanes, seat.lane_ids, strict=True):
            lease.renew(self.limits.open_seconds)
            lane = connection.lanes.get(lane_id) if lane_id is not None else None
            if lane is None:
                lane = await self._open(connection, need.platform, lane_need.width)
            lanes.append(LeasedLane(lease, connection, lane))
        return lanes

    async def _open(self, connection: BrowserConnection, platform: str, width: int) -> Lane:
        try:
            return await connection.open_lane(platform=platform, width=width)
        except LaneFailed as error:
            # The platform worked when it was tried; so it is this browser that has lost it.
            connection.suspect = True
            self.health.note_failure(connection.engine.name, str(error), platform=platform)
            raise BrowserLost(f"{platform} stopped working in {connection.engine.name}: {error}") from error

    async def load(self, at: LeasedLane, model: Model) -> tuple[float, bool]:
        """Loads a model unless the lane holds it; gives the milliseconds it took, and whether it was there.

        Raises:
            InferenceFailed: the runtime refused it; the lane is not usable afterwards.
            ModelRefused: its files are no longer those that were checked.
        """
        lane = at.lane
        if model.name in lane.model_names:
            return 0.0, True
        at.lease.renew(self.limits.load_seconds)
        await asyncio.to_thread(model.check_unchanged)
        urls = {}
        for part, own in model.files.items():
            file = await asyncio.to_thread(self.files.file_for, own, lane.platform)
            urls[part] = self.pages.publish_model(file.sha256, file.path)
        try:
            load_time_ms = await self._load(lane, model, urls)
        except LaneFailed as error:
            raise InferenceFailed(model.name, str(error)) from error
        lane.model_bytes += model.size_bytes
        return load_time_ms, False

    async def _load(self, lane: Lane, model: Model, urls: Mapping[str, str]) -> float:
        limit = self.limits.load_seconds
        if model.recipe is not None:
            return await lane.load_parts(model.name, urls, model.recipe, timeout=limit)
        dimensions = {spec.name: spec.named_shape for spec in model.inputs}
        return await lane.load(model.name, urls["model"], dimensions, timeout=limit)

    async def put(self, at: LeasedLane, slot: str, tensors: Mapping[str, Array]) -> None:
        """Puts inputs into a lane."""
        at.lease.renew(self.limits.transfer_seconds)
        await at.lane.put(slot, tensors, timeout=self.limits.transfer_seconds)

    async def drop(self, at: LeasedLane, slot: str) -> None:
        """Takes inputs out of a lane again."""
        at.lease.renew(self.limits.transfer_seconds)
        await at.lane.drop(slot, timeout=self.limits.transfer_seconds)

    async def run(
        self,
        at: LeasedLane,
        model_name: str,
        *,
        slot: str = "",
        tensors: Mapping[str, Array] | None = None,
        shared: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        fetch: bool = False,
    ) -> RunReply:
        """Runs a model in its lane, on inputs that were put into a slot or come along, or are shared tensors.

        Raises:
            InferenceFailed: the runtime refused; the message is its own.
        """
        limit = self.limits.run_seconds
        at.lease.renew(limit)
        try:
            reply = await at.lane.run(
                model_name, slot or None, tensors=tensors, shared=shared, keep=keep, fetch=fetch, timeout=limit
            )
        except LaneFailed as error:
            raise InferenceFailed(model_name, str(error)) from error
        except BrowserLost as error:
            if at.lane.device_lost:
                self._note_lost_device(at, error.cause)
            raise
        at.connection.run_count += 1
        self.health.note_success(at.connection.engine.name, at.lane.platform)
        return reply

    def _note_lost_device(self, at: LeasedLane, cause: str) -> None:
        """Counts a crash of the graphics process once, however many lanes it takes along."""
        connection = at.connection
        if connection.failed_epoch != connection.epoch:
            connection.failed_epoch = connection.epoch
            self.health.note_failure(connection.engine.name, cause, platform=at.lane.platform)
