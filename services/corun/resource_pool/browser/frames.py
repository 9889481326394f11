"""The binary frames between the pool and a lane: a length, a JSON header, and tensors aligned to 8 bytes.

Tensors cross as raw little-endian bytes; `frames.ts` is the other end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_PREFIX_BYTES = 8
_ALIGNMENT = 8
TENSOR_TYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and tensors by name. Tensors of a received frame are read-only views of it."""

    header: dict[str, Any]
    tensors: dict[str, Array]


def encode(header: Mapping[str, Any], tensors: Mapping[str, Array] | None = None) -> bytes:
    """A frame of `header` and C-ordered copies of `tensors` whose types are among TENSOR_TYPES."""
    entries, parts, offset = [], [], 0
    for name, tensor in (tensors or {}).items():
        if tensor.dtype.name not in TENSOR_TYPES:
            raise ValueError(f"tensor {name!r} has type {tensor.dtype.name}; allowed: {', '.join(TENSOR_TYPES)}")
        entries.append(
            {
                "name": name,
                "type": tensor.dtype.name,
                "shape": list(tensor.shape),
                "offset": offset,
                "length": tensor.nbytes,
            }
        )
        parts += [np.ascontiguousarray(tensor).data.cast("B") if tensor.nbytes else b"", _padding(tensor.nbytes)]
        offset = _aligned(offset + tensor.nbytes)
    encoded = json.dumps({**header, "tensors": entries}).encode()
    prefix = len(encoded).to_bytes(_PREFIX_BYTES, "little")
    return b"".join([prefix, encoded, _padding(_PREFIX_BYTES + len(encoded)), *parts])


def decode(data: bytes) -> Frame:
    """Reads a frame.

    Raises:
        ValueError: it is cut short or its header is no JSON object.
    """
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[_PREFIX_BYTES : _PREFIX_BYTES + length])
    body = _aligned(_PREFIX_BYTES + length)
    tensors = {}
    for entry in header.pop("tensors", None) or []:
        dtype = np.dtype(entry["type"])
        count = entry["length"] // dtype.itemsize
        flat = np.frombuffer(data, dtype=dtype, count=count, offset=body + entry["offset"])
        tensors[entry["name"]] = flat.reshape(entry["shape"])
    return Frame(header, tensors)


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _padding(length: int) -> bytes:
    return bytes(_aligned(length) - length)
