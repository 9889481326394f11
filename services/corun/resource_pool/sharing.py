"""Shared tensors: bringing them into a lane once, reading them, letting go of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corun.errors import BrowserLost, CorunError, InferenceFailed, TensorLost
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.core.engine_choice import Fallback
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.core.shared_tensors import SharedTensor, SharedTensors
from corun.resource_pool.models import Model
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import LeasedLane, Preparation

_STORAGE_BY_PLATFORM = {"wasm": "cpu", "webgpu": "webgpu", "webnn": "webnn"}
_PLATFORM_BY_STORAGE = {storage: platform for platform, storage in _STORAGE_BY_PLATFORM.items()}


def storage_of(platform: str) -> str:
    """Where a lane of this platform keeps shared tensors."""
    return _STORAGE_BY_PLATFORM[platform]


@dataclass(frozen=True, slots=True)
class ShareOrder:
    """What is to be shared.

    Attributes:
        name: Under which name.
        array: The tensor.
        producer: In whose lane it is to lie.
        consumers: Models to load beside it.
        storage_type: webgpu, webnn or cpu.
        owner: For its release.
        preferred_engine: A name, or empty.
        deadline: Of the caller, a monotonic time.
    """

    name: str
    array: Array
    producer: Model
    consumers: tuple[Model, ...]
    storage_type: str
    owner: str = ""
    preferred_engine: str = ""
    deadline: float = float("inf")


@dataclass(frozen=True, slots=True)
class Shared:
    """The tensor as it lies, and what it took."""

    tensor: SharedTensor
    boundary_bytes: int
    engine: str
    adapter: str
    fallback: Fallback | None


@dataclass(frozen=True, slots=True)
class Sharing:
    """Keeps the books of shared tensors true to what lies in the lanes.

    Attributes:
        lane_width: Threads of the lanes that hold them.
        transfer_seconds: Longest time that moving one may take.
    """

    pool: Pool
    preparation: Preparation
    capabilities: Capabilities
    tensors: SharedTensors
    lane_width: int
    transfer_seconds: float

    async def share(self, order: ShareOrder) -> Shared:
        """Brings a tensor into the lane of its producer, with its consumers loaded beside it.

        Raises:
            TensorExists, TensorLimit
            InferenceFailed, PlatformUnavailable, PoolFull, QueueDeadline, BrowserLost, StepTimedOut
        """
        platform = _PLATFORM_BY_STORAGE[order.storage_type]
        models = {model.name: model for model in (order.producer, *order.consumers)}
        choice = await self.capabilities.engine_for(platform, preferred=order.preferred_engine)
        needs = (ConnectionNeed(choice.engine, platform, (LaneNeed(self.lane_width, frozenset(models)),)),)
        self.tensors.claim([order.name], size_bytes=order.array.nbytes)
        try:
            async with self.pool.lease(
                needs,
                purpose=f"sharing {order.name}",
                exclusive=False,
                model_sizes={name: model.size_bytes for name, model in models.items()},
                deadline=order.deadline,
            ) as lease:
                ((at,),) = await self.preparation.lanes(lease, needs)
                for model in models.values():
                    await self.preparation.load(at, model)
                tensor = await self._put(at, order)
                return Shared(tensor, order.array.nbytes, choice.engine, at.lane.adapter, choice.fallback)
        finally:
            self.tensors.give_up([order.name])

    async def _put(self, at: LeasedLane, order: ShareOrder) -> SharedTensor:
        at.lease.renew(self.transfer_seconds)
        try:
            kept = await at.lane.share(order.name, order.array, timeout=self.transfer_seconds)
        except LaneFailed as error:
            raise InferenceFailed(order.producer.name, str(error)) from error
        tensor = SharedTensor(
            name=order.name,
            data_type=kept.data_type,
            shape=kept.shape,
            size_bytes=kept.size_bytes,
            storage_type=kept.storage_type,
            owner=order.owner,
            connection_id=at.connection.connection_id,
            lane_id=at.lane.lane_id,
            producer_model=order.producer.name,
            consumer_models=tuple(model.name for model in order.consumers),
        )
        await self.enter(at, [tensor])
        return tensor

    async def enter(self, at: LeasedLane, tensors: Sequence[SharedTensor]) -> None:
        """Puts tensors that lie in a lane on the books; where there is no room they are freed again.

        Raises:
            TensorLimit
        """
        try:
            self.tensors.check_room(sum(tensor.size_bytes for tensor in tensors))
        except CorunError:
            for tensor in tensors:
                await at.lane.free(tensor.name, timeout=self.transfer_seconds)
            raise
        for tensor in tensors:
            self.tensors.add(tensor)
            at.lane.tensor_names.add(tensor.name)

    async def read(self, name: str) -> Array:
        """The tensor's elements, through the host.

        Raises:
            TensorNotFound, TensorLost
        """
        lane = self._lane_of(self.tensors.get(name))
        try:
            return await lane.read(name, timeout=self.transfer_seconds)
        except BrowserLost as error:
            raise TensorLost(name, error.cause) from error

    async def release(self, tensors: Sequence[SharedTensor]) -> None:
        """Frees tensors; one whose lane is gone is gone already."""
        for tensor in tensors:
            self.tensors.remove(tensor.name)
            try:
                lane = self._lane_of(tensor)
                lane.tensor_names.discard(tensor.name)
                await lane.free(tensor.name, timeout=self.transfer_seconds)
            except (BrowserLost, TensorLost, LaneFailed):
                continue
        self.pool.reconsider()

    def _lane_of(self, tensor: SharedTensor) -> Lane:
        try:
            return self.pool.fleet.connection(tensor.connection_id).lanes[tensor.lane_id]
        except (BrowserLost, KeyError) as error:
            raise TensorLost(tensor.name, "its lane is gone") from error
