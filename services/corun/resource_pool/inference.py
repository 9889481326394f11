"""Runs one model on a caller's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corun.errors import BrowserLost
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.core.events import Event
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.models import Model
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation

_SLOT = "inference"


@dataclass(frozen=True, slots=True)
class Inferred:
    """Outputs by name, the time inside the lane in milliseconds, and what it ran on."""

    outputs: dict[str, Array]
    run_time_ms: float
    engine: str
    adapter: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where a model is now; `load_time_ms` is 0 when it was there before."""

    connection_id: str
    engine: str
    load_time_ms: float
    already_loaded: bool


@dataclass(frozen=True, slots=True)
class Inference:
    """Keeps single models warm in wide lanes, and runs them there.

    Attributes:
        lane_width: Threads of such a lane.
    """

    pool: Pool
    preparation: Preparation
    lane_width: int

    async def load(self, model: Model, *, platform: str) -> Loaded:
        """Loads a model where the next inference will find it."""
        needs = self._needs(model)
        sizes = {model.name: model.size_bytes}
        async with self.pool.lease(needs, platform=platform, model_sizes=sizes, exclusive=False) as lease:
            (lane,) = await self.preparation.lanes(lease, needs, platform=platform)
            already = model.name in lane.model_names
            load_time_ms = await self.preparation.load(lane, model, lane_number=0, emit=_ignore)
            return Loaded(lease.connection.connection_id, lease.connection.engine.name, load_time_ms, already)

    async def run(self, model: Model, inputs: Mapping[str, Array], *, platform: str) -> Inferred:
        """Runs a model on inputs by name; a browser that is lost costs one retry in another."""
        try:
            return await self._attempt(model, inputs, platform)
        except BrowserLost:
            return await self._attempt(model, inputs, platform)

    async def _attempt(self, model: Model, inputs: Mapping[str, Array], platform: str) -> Inferred:
        needs = self._needs(model)
        sizes = {model.name: model.size_bytes}
        async with self.pool.lease(needs, platform=platform, model_sizes=sizes, exclusive=False) as lease:
            (lane,) = await self.preparation.lanes(lease, needs, platform=platform)
            await self.preparation.load(lane, model, lane_number=0, emit=_ignore)
            await self.preparation.put(lane, _SLOT, inputs)
            reply = await self.preparation.run(lane, model.name, _SLOT, fetch=True)
            return Inferred(reply.outputs, reply.run_time_ms, lease.connection.engine.name, lane.adapter)

    async def unload(self, model_name: str, *, platform: str | None) -> int:
        """Releases a model in every browser, each when its caller is done; gives back how many sessions.

        The lane goes as a whole: releasing the session alone would not shrink its memory.
        """
        count = 0
        for slot in self.pool.slots:
            async with self.pool.borrow(slot.connection.connection_id) as connection:
                lanes = list(connection.lanes.values()) if connection is not None else []
                for lane in lanes:
                    if model_name in lane.model_names and platform in {None, lane.platform}:
                        await slot.connection.close_lane(lane.lane_id)
                        count += 1
        return count

    def _needs(self, model: Model) -> tuple[LaneNeed, ...]:
        return (LaneNeed(self.lane_width, frozenset({model.name})),)


def _ignore(_event: Event) -> None:
    """Nobody watches a single inference."""
