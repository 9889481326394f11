"""Which tensors are shared, where they lie and who owns them: the books, not the bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from corun.errors import TensorExists, TensorLimit, TensorLost, TensorNotFound

# Names of tensors that went with their lane, remembered for the sake of a clear error.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class SharedTensor:
    """A tensor in a lane, readable under its name.

    Attributes:
        name: Unique in the pool.
        data_type: As numpy names it.
        shape: Sizes, outermost first.
        size_bytes: Its size.
        storage_type: webgpu, webnn or cpu.
        owner: Who shared it; may be empty.
        connection_id: The browser that holds it.
        lane_id: The lane that holds it.
        producer_model: Model that made it, or on whose behalf it was shared.
        consumer_models: Models that were loaded beside it.
    """

    name: str
    data_type: str
    shape: tuple[int, ...]
    size_bytes: int
    storage_type: str
    owner: str
    connection_id: str
    lane_id: str
    producer_model: str
    consumer_models: tuple[str, ...] = ()


class SharedTensors:
    """The books of shared tensors.

    A name is claimed before anything moves, so that two callers never make the same tensor; what is claimed is
    either added or given up.

    Args:
        limit_bytes: Most bytes of all tensors together.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._tensors: dict[str, SharedTensor] = {}
        self._claimed: set[str] = set()
        self._lost: OrderedDict[str, str] = OrderedDict()

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size_bytes for tensor in self._tensors.values())

    def all(self) -> list[SharedTensor]:
        """Sorted by name."""
        return sorted(self._tensors.values(), key=lambda tensor: tensor.name)

    def in_lane(self, lane_id: str) -> list[SharedTensor]:
        """What a lane holds, by name."""
        return [tensor for tensor in self.all() if tensor.lane_id == lane_id]

    def claim(self, names: Iterable[str], *, size_bytes: int = 0) -> None:
        """Takes names, and makes sure that so many bytes may be added.

        Raises:
            TensorExists: one is taken.
            TensorLimit: there is no room.
        """
        wanted = list(names)
        for place, name in enumerate(wanted):
            if name in self._tensors or name in self._claimed or name in wanted[:place]:
                raise TensorExists(name)
        self.check_room(size_bytes)
        self._claimed.update(wanted)

    def give_up(self, names: Iterable[str]) -> None:
        """Lets go of claimed names; those that were added stay."""
        self._claimed.difference_update(names)

    def check_room(self, size_bytes: int) -> None:
        """Returns when so many bytes may be added.

        Raises:
            TensorLimit
        """
        if self.total_bytes + size_bytes > self.limit_bytes:
            raise TensorLimit(size_bytes, self.total_bytes, self.limit_bytes)

    def add(self, tensor: SharedTensor) -> None:
        """Enters a tensor whose name was claimed."""
        self._claimed.discard(tensor.name)
        self._lost.pop(tensor.name, None)
        self._tensors[tensor.name] = tensor

    def get(self, name: str) -> SharedTensor:
        """The tensor of this name.

        Raises:
            TensorNotFound: there is none.
            TensorLost: its lane is gone.
        """
        if name in self._lost:
            raise TensorLost(name, self._lost[name])
        if name not in self._tensors:
            raise TensorNotFound(f"tensor_name: no shared tensor is named {name!r}", tensor_name=name)
        return self._tensors[name]

    def of_owner(self, owner: str) -> list[SharedTensor]:
        """All tensors of an owner.

        Raises:
            TensorNotFound: there are none.
        """
        found = [tensor for tensor in self.all() if tensor.owner == owner]
        if not found:
            raise TensorNotFound(f"owner: {owner!r} owns no shared tensor")
        return found

    def remove(self, name: str) -> None:
        """Strikes a tensor off."""
        self._tensors.pop(name, None)

    def lose_lane(self, lane_id: str, cause: str) -> None:
        """Strikes off what a lane held; asking for it tells the cause from now on."""
        for tensor in self.in_lane(lane_id):
            self.remove(tensor.name)
            self._lost[tensor.name] = cause
        while len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)
