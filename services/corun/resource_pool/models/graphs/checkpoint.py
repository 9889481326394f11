"""Weights out of a PyTorch checkpoint of the format before 1.6, without PyTorch and without trusting it.

Such a file is a row of pickles (magic number, version, machine, state), the keys of the storages and their raw
numbers. Unpickling is code execution unless every global is looked at: three names are allowed here, and all
of them lead to functions of this module.
"""

from __future__ import annotations

import collections
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[np.generic]
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: Path) -> dict[str, Array]:
    """The state dictionary: arrays by name.

    Raises:
        ValueError: where the file is anything else than tensors by name.
    """
    try:
        with path.open("rb") as file:
            magic, version = _Unpickler(file).load(), _Unpickler(file).load()
            if magic != _MAGIC_NUMBER or version != 1001:
                raise ValueError("not a checkpoint of the format before 1.6")
            _Unpickler(file).load()  # sizes of C types where it was written; the storages' formats are fixed
            state = _Unpickler(file).load()
            keys = _Unpickler(file).load()
            if not isinstance(state, dict) or not all(isinstance(each, _Tensor) for each in state.values()):
                raise ValueError("not a dictionary of tensors")
            storages = {each.storage.key: each.storage for each in state.values()}
            values = {key: _read_storage(file, storages[key]) for key in keys}
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    return {str(name): _view(values[each.storage.key], each) for name, each in state.items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a checkpoint")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, elements = pid[:5]
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"{kind!r} is not allowed in a checkpoint")
        return _Storage(str(key), dtype, int(elements))


def _rebuild(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _read_storage(file: BinaryIO, storage: _Storage) -> Array:
    (elements,) = struct.unpack("<q", file.read(8))
    content = file.read(storage.elements * storage.dtype.itemsize)
    if elements != storage.elements or len(content) != storage.elements * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} is cut short")
    return np.frombuffer(content, dtype=storage.dtype)


def _view(values: Array, tensor: _Tensor) -> Array:
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= len(values):
        raise ValueError(f"a tensor reaches out of storage {tensor.storage.key}")
    strides = [stride * values.itemsize for stride in tensor.strides]
    # A copy, in order; `ascontiguousarray` would give a scalar a dimension.
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False).copy("C")
