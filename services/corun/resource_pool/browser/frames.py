"""The messages between the pool and a lane.

A frame is a binary message with a length, a JSON header and the small tensors, aligned to 8 bytes; each large tensor
follows as a message of its own, so that nothing is copied together. Tensors cross as raw little-endian bytes;
`frames.ts` is the other end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Message = bytes | memoryview

_PREFIX_BYTES = 8
_ALIGNMENT = 8
_INLINE_BYTES = 65_536
TENSOR_TYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and tensors by name. Tensors of a received frame are read-only views of it."""

    header: dict[str, Any]
    tensors: dict[str, Array]


def encode(header: Mapping[str, Any], tensors: Mapping[str, Array] | None = None) -> list[Message]:
    """The messages of a frame, to be sent one after another. Large tensors are not copied: leave them alone until
    they are sent.

    Raises:
        ValueError: a tensor's type is not among TENSOR_TYPES.
    """
    entries: list[dict[str, Any]] = []
    inline: list[Message] = []
    apart: list[Message] = []
    offset = 0
    for name, tensor in (tensors or {}).items():
        if tensor.dtype.name not in TENSOR_TYPES:
            raise ValueError(f"tensor {name!r} has type {tensor.dtype.name}; allowed: {', '.join(TENSOR_TYPES)}")
        entry = {"name": name, "type": tensor.dtype.name, "shape": list(tensor.shape), "length": tensor.nbytes}
        content: Message = np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data if tensor.nbytes else b""
        if tensor.nbytes > _INLINE_BYTES:
            apart.append(content)
        else:
            entry["offset"] = offset
            inline += [content, _padding(tensor.nbytes)]
            offset = _aligned(offset + tensor.nbytes)
        entries.append(entry)
    encoded = json.dumps({**header, "tensors": entries}).encode()
    prefix = len(encoded).to_bytes(_PREFIX_BYTES, "little")
    return [b"".join([prefix, encoded, _padding(_PREFIX_BYTES + len(encoded)), *inline]), *apart]


class FrameReader:
    """Puts frames together from the messages of a socket."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._entries: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []

    def feed(self, message: bytes) -> Frame | None:
        """Takes the next message; gives the frame that it completes.

        Raises:
            ValueError: the message is cut short, its header is no JSON object, or a tensor is not as announced.
        """
        try:
            if self._waiting:
                assert self._frame is not None
                entry = self._waiting.pop(0)
                if len(message) != entry["length"]:
                    raise ValueError(
                        f"{len(message)} bytes came for tensor {entry['name']!r}; announced: {entry['length']}"
                    )
                self._frame.tensors[entry["name"]] = _view(message, entry, 0)
            else:
                self._begin(message)
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a frame: {error!r}") from error
        return self._frame if not self._waiting else None

    def _begin(self, message: bytes) -> None:
        length = int.from_bytes(message[:4], "little")
        header = json.loads(message[_PREFIX_BYTES : _PREFIX_BYTES + length])
        entries = header.pop("tensors", None) or []
        body = _aligned(_PREFIX_BYTES + length)
        here = [entry for entry in entries if "offset" in entry]
        self._frame = Frame(header, {entry["name"]: _view(message, entry, body + entry["offset"]) for entry in here})
        self._waiting = [entry for entry in entries if "offset" not in entry]


def _view(message: bytes, entry: Mapping[str, Any], offset: int) -> Array:
    if entry["type"] not in TENSOR_TYPES:
        raise ValueError(f"tensors of type {entry['type']!r} do not cross the page boundary")
    tensor: Array = np.ndarray(entry["shape"], entry["type"], message, offset)
    if tensor.nbytes != entry["length"]:
        raise ValueError(f"tensor {entry['name']!r} of shape {entry['shape']} does not take {entry['length']} bytes")
    return tensor


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _padding(length: int) -> bytes:
    return bytes(_aligned(length) - length)
