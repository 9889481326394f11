"""Shared tensors of a pool that has no browser: they lie in a dict, as their owners left them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from corun.errors import TensorExists, TensorNotFound
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2

LIMIT_BYTES = 10_000


@dataclass(slots=True)
class FakeTensors:
    """Answers ShareTensor, ReleaseTensor, ListTensors and WatchPool by the contract, in one lane of one browser."""

    entries: dict[str, pool_pb2.SharedTensor] = field(default_factory=dict)
    contents: dict[str, core_pb2.Tensor] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def share(self, request: pool_pb2.ShareTensorRequest, *, engine: str) -> pool_pb2.ShareTensorResponse:
        """Keeps the tensor under its name."""
        entry = pool_pb2.SharedTensor(
            storage_type=request.storage_type,
            owner=request.owner,
            producer_model=request.producer_model,
            consumer_models=request.consumer_models,
        )
        entry = await self.keep(request.tensor, entry)
        return pool_pb2.ShareTensorResponse(tensor=entry, boundary_bytes=entry.size_bytes, engine=engine)

    async def keep(self, tensor: core_pb2.Tensor, entry: pool_pb2.SharedTensor) -> pool_pb2.SharedTensor:
        """Enters a tensor whose storage, owner and models are known."""
        if tensor.name in self.entries:
            raise TensorExists(tensor.name)
        entry.name, entry.data_type, entry.size_bytes = tensor.name, tensor.data_type, len(tensor.content)
        entry.shape.extend(tensor.shape)
        entry.connection_id, entry.lane_id = "c-1", "l-1"
        self.entries[entry.name], self.contents[entry.name] = entry, tensor
        await self._tell(f"{entry.name} is shared")
        return entry

    def read(self, name: str) -> core_pb2.Tensor:
        """The tensor of this name."""
        if name not in self.contents:
            raise TensorNotFound(f"tensor_name: no shared tensor is named {name!r}", tensor_name=name)
        return self.contents[name]

    async def release(self, request: pool_pb2.ReleaseTensorRequest) -> pool_pb2.ReleaseTensorResponse:
        """Forgets one, or all of an owner."""
        if request.HasField("tensor_name"):
            names = [self.read(request.tensor_name).name]
        else:
            names = [name for name, entry in self.entries.items() if entry.owner == request.owner]
        if not names:
            raise TensorNotFound(f"owner: {request.owner!r} owns no shared tensor")
        released = [self.entries.pop(name) for name in names]
        for name in names:
            del self.contents[name]
            await self._tell(f"{name} is released")
        return pool_pb2.ReleaseTensorResponse(
            released_count=len(released), released_bytes=sum(entry.size_bytes for entry in released)
        )

    def listed(self) -> pool_pb2.ListTensorsResponse:
        """All of them, by name."""
        entries = sorted(self.entries.values(), key=lambda entry: entry.name)
        return pool_pb2.ListTensorsResponse(tensors=entries, limit_bytes=LIMIT_BYTES)

    async def watch(self, status: pool_pb2.GetPoolStatusResponse) -> AsyncIterator[pool_pb2.WatchPoolResponse]:
        """The pool at once, then after every change of its tensors."""
        told = len(self.words)
        yield self._state(status, [])
        while True:
            async with self.changed:
                while len(self.words) == told:
                    await self.changed.wait()
                changes, told = self.words[told:], len(self.words)
            yield self._state(status, changes)

    def _state(self, status: pool_pb2.GetPoolStatusResponse, changes: list[str]) -> pool_pb2.WatchPoolResponse:
        response = pool_pb2.WatchPoolResponse(sequence=len(self.words), status=status, changes=changes)
        response.status.tensor_count = len(self.entries)
        response.event_time.GetCurrentTime()
        return response

    async def _tell(self, words: str) -> None:
        async with self.changed:
            self.words.append(words)
            self.changed.notify_all()
