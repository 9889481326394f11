"""Runs one model on a caller's input, or on tensors that are shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from corun.errors import BrowserLost
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import KeptTensor
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.core.engine_choice import EngineChoice, Fallback
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.core.shared_tensors import SharedTensor
from corun.resource_pool.models import Model
from corun.resource_pool.plan_order import has_session_per_shape
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import LeasedLane, Preparation
from corun.resource_pool.sharing import Sharing, storage_of


@dataclass(frozen=True, slots=True)
class InferOrder:
    """What is to be run.

    Attributes:
        model: Which.
        inputs: By name, those that are not shared.
        platform: Where.
        preferred_engine: A name, or empty.
        shared: Names of shared tensors, by input.
        kept: Names that outputs are to be shared under, by output.
        owner: Of those.
        deadline: Of the caller, a monotonic time.
    """

    model: Model
    inputs: Mapping[str, Array]
    platform: str
    preferred_engine: str = ""
    shared: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    deadline: float = float("inf")


@dataclass(frozen=True, slots=True)
class Inferred:
    """Outputs by name, the time inside the lane in milliseconds, what it ran on, and what moved."""

    outputs: dict[str, Array]
    run_time_ms: float
    engine: str
    adapter: str
    software_adapter: bool
    connection_id: str
    boundary_bytes: int
    zero_copy: bool
    kept: tuple[SharedTensor, ...]
    fallback: Fallback | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where a model is now; `load_time_ms` is 0 when it was there before."""

    connection_id: str
    engine: str
    load_time_ms: float
    already_loaded: bool
    fallback: Fallback | None


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a run goes: the browser, and what is read there without moving or has to be brought."""

    choice: EngineChoice
    need: ConnectionNeed
    in_place: dict[str, str]
    brought: dict[str, Array]
    moved_bytes: int


@dataclass(frozen=True, slots=True)
class Inference:
    """Keeps single models warm in wide lanes, and runs them there.

    Attributes:
        lane_width: Threads of such a lane.
    """

    pool: Pool
    preparation: Preparation
    capabilities: Capabilities
    sharing: Sharing
    lane_width: int

    async def load(
        self, model: Model, *, platform: str, preferred_engine: str, deadline: float = float("inf")
    ) -> Loaded:
        """Loads a model where the next inference will find it."""
        choice = await self.capabilities.engine_for(platform, preferred=preferred_engine)
        needs = (self._need(model, choice.engine, platform),)
        async with self.pool.lease(
            needs, purpose=f"loading {model.name}", exclusive=False, model_sizes=_sizes(model), deadline=deadline
        ) as lease:
            ((at,),) = await self.preparation.lanes(lease, needs)
            load_time_ms, already = await self.preparation.load(at, model)
            return Loaded(at.connection.connection_id, choice.engine, load_time_ms, already, choice.fallback)

    async def run(self, order: InferOrder) -> Inferred:
        """Runs a model; a browser that is lost costs one retry in another.

        Raises:
            TensorNotFound, TensorLost: a shared input is not there.
            TensorExists, TensorLimit: a kept output cannot be.
            InferenceFailed, PlatformUnavailable, PoolFull, QueueDeadline, BrowserLost, StepTimedOut
        """
        try:
            return await self._attempt(order)
        except BrowserLost:
            return await self._attempt(order)

    async def _attempt(self, order: InferOrder) -> Inferred:
        target = await self._target(order)
        needs = (target.need,)
        names = tuple(order.kept.values())
        self.sharing.tensors.claim(names)
        try:
            async with self.pool.lease(
                needs,
                purpose=f"a run of {order.model.name}",
                exclusive=False,
                model_sizes=_sizes(order.model),
                deadline=order.deadline,
            ) as lease:
                for name in target.in_place.values():
                    self.sharing.tensors.get(name)  # it may have been released or lost while this one waited
                ((at,),) = await self.preparation.lanes(lease, needs)
                return await self._run(order, target, at)
        finally:
            self.sharing.tensors.give_up(names)

    async def _run(self, order: InferOrder, target: _Target, at: LeasedLane) -> Inferred:
        await self.preparation.load(at, order.model)
        if has_session_per_shape(order.model, order.platform):
            at.lane.shapes.add(f"{order.model.name} of a single inference")
        reply = await self.preparation.run(
            at,
            order.model.name,
            tensors={**order.inputs, **target.brought},
            shared=target.in_place,
            keep=order.kept,
            fetch=True,
        )
        kept = [self._entry(order, at, each) for each in reply.kept]
        await self.sharing.enter(at, kept)
        return Inferred(
            outputs=reply.outputs,
            run_time_ms=reply.run_time_ms,
            engine=at.connection.engine.name,
            adapter=at.lane.adapter,
            software_adapter=at.lane.software_adapter,
            connection_id=at.connection.connection_id,
            boundary_bytes=reply.boundary_bytes + target.moved_bytes,
            zero_copy=reply.zero_copy and not target.brought,
            kept=tuple(kept),
            fallback=target.choice.fallback,
        )

    async def _target(self, order: InferOrder) -> _Target:
        """The lane that holds most of what is shared, if it is one of this platform; the rest is brought there."""
        tensors = {name: self.sharing.tensors.get(tensor) for name, tensor in order.shared.items()}
        local = [tensor for tensor in tensors.values() if tensor.storage_type == storage_of(order.platform)]
        anchor = max(local, key=lambda tensor: tensor.size_bytes, default=None)
        in_place = {name: each.name for name, each in tensors.items() if anchor and each.lane_id == anchor.lane_id}
        brought = {name: await self.sharing.read(each.name) for name, each in tensors.items() if name not in in_place}
        choice = await self._choice(order, anchor)
        need = self._need(order.model, choice.engine, order.platform, anchor)
        return _Target(choice, need, in_place, brought, moved_bytes=sum(array.nbytes for array in brought.values()))

    async def _choice(self, order: InferOrder, anchor: SharedTensor | None) -> EngineChoice:
        if anchor is None:
            return await self.capabilities.engine_for(order.platform, preferred=order.preferred_engine)
        return EngineChoice(self.pool.fleet.connection(anchor.connection_id).engine.name)

    def _entry(self, order: InferOrder, at: LeasedLane, kept: KeptTensor) -> SharedTensor:
        return SharedTensor(
            name=kept.name,
            data_type=kept.data_type,
            shape=kept.shape,
            size_bytes=kept.size_bytes,
            storage_type=kept.storage_type,
            owner=order.owner,
            connection_id=at.connection.connection_id,
            lane_id=at.lane.lane_id,
            producer_model=order.model.name,
        )

    async def unload(self, model_name: str, *, platform: str | None) -> int:
        """Releases a model in every browser, each when its caller is done; gives how many sessions.

        The lane goes as a whole: releasing the session alone would not shrink its memory.
        """
        count = 0
        for connection in self.pool.fleet.connections:
            need = ConnectionNeed(connection.engine.name, "", (), connection_id=connection.connection_id)
            try:
                async with self.pool.lease((need,), purpose=f"unloading {model_name}", exclusive=False):
                    for lane in list(connection.lanes.values()):
                        if model_name in lane.model_names and platform in {None, lane.platform}:
                            await connection.close_lane(lane.lane_id, cause=f"{model_name} was unloaded")
                            count += 1
            except BrowserLost:
                continue  # and the model with it
        return count

    def _need(self, model: Model, engine: str, platform: str, anchor: SharedTensor | None = None) -> ConnectionNeed:
        names = frozenset({model.name})
        if anchor is None:
            return ConnectionNeed(engine, platform, (LaneNeed(self.lane_width, names),))
        lane = LaneNeed(self.lane_width, names, lane_id=anchor.lane_id)
        return ConnectionNeed(engine, platform, (lane,), connection_id=anchor.connection_id)


def stand_in(tensor: SharedTensor) -> Array:
    """An array of the tensor's type and shape that takes no memory: what inputs are checked with."""
    return np.broadcast_to(np.zeros((), dtype=tensor.data_type), tensor.shape)


def _sizes(model: Model) -> dict[str, int]:
    return {model.name: model.size_bytes}
