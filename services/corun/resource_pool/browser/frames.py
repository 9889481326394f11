"""The messages between the pool and a lane.

A frame is a binary message, and one more for each large tensor, so that nothing is copied together:

    tensors   up to 65,536 bytes each, in the order of the text, each filled up to a multiple of 8 bytes
    text      JSON: the header, and of each tensor its name, type and shape: [{...}, [["x", "float32", [1, 2]], ...]]
    4 bytes   length of the text, little-endian

The large ones follow in that order too. Tensors cross as raw little-endian bytes; `frames.ts` is the other end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

Array = npt.NDArray[Any]
Message = bytes | memoryview

_LENGTH_BYTES = 4
_ALIGNMENT = 8
_INLINE_BYTES = 65_536
_TensorType = Literal["float32", "float16", "int64", "int32", "uint8", "bool"]
TENSOR_TYPES: tuple[str, ...] = get_args(_TensorType)
_NAMES = {np.dtype(name): name for name in TENSOR_TYPES}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}

_Size = Annotated[int, Field(ge=0, lt=2**63)]
_Entry = tuple[str, _TensorType, tuple[_Size, ...]]
_Text = tuple[dict[str, Any], list[_Entry]]
_read_text = TypeAdapter(_Text, config=ConfigDict(strict=True)).validator.validate_json


class Frame(NamedTuple):
    """A header and tensors by name. Tensors of a received frame are read-only views of it."""

    header: dict[str, Any]
    tensors: dict[str, Array]


def encode(header: Mapping[str, Any], tensors: Mapping[str, Array] | None = None) -> list[Message]:
    """The messages of a frame, to be sent one after another. Large tensors are not copied: leave them alone until
    they are sent.

    Raises:
        ValueError: a tensor's type is not among TENSOR_TYPES.
    """
    entries: list[tuple[str, str, tuple[int, ...]]] = []
    inline: list[bytes] = []
    apart: list[Message] = []
    for name, tensor in (tensors or {}).items():
        data_type = _NAMES.get(tensor.dtype)
        if data_type is None:
            raise ValueError(f"tensor {name!r} has type {tensor.dtype}; allowed: {', '.join(TENSOR_TYPES)}")
        entries.append((name, data_type, tensor.shape))
        if tensor.nbytes > _INLINE_BYTES:
            apart.append(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
        else:
            inline.append(tensor.tobytes().ljust(_aligned(tensor.nbytes), b"\0"))
    text = to_json((header, entries))
    return [b"".join([*inline, text, len(text).to_bytes(_LENGTH_BYTES, "little")]), *apart]


class FrameReader:
    """Puts frames together from the messages of a socket."""

    def __init__(self) -> None:
        self._frame = Frame({}, {})
        self._waiting: list[_Entry] = []

    def feed(self, message: bytes) -> Frame | None:
        """Takes the next message; gives the frame that it completes.

        Raises:
            ValueError: the message is cut short, its text is not as it should be, or a tensor is not as announced.
        """
        if self._waiting:
            name, data_type, shape = self._waiting.pop(0)
            if len(message) != _byte_count(data_type, shape):
                raise ValueError(f"{len(message)} bytes came for tensor {name!r}: {data_type} of shape {shape}")
            self._frame.tensors[name] = np.ndarray(shape, data_type, message)
        else:
            self._begin(message)
        return self._frame if not self._waiting else None

    def _begin(self, message: bytes) -> None:
        end = len(message) - _LENGTH_BYTES
        begin = end - int.from_bytes(message[end:], "little")
        if begin < 0:
            raise ValueError(f"the message of {len(message)} bytes is shorter than its text")
        try:
            header, entries = _read_text(message[begin:end])
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise ValueError(f"not a frame: {problem['msg']} at {problem['loc']} of its text") from error
        self._frame = Frame(header, {})
        offset = 0
        for entry in entries:
            name, data_type, shape = entry
            size = _byte_count(data_type, shape)
            if size > _INLINE_BYTES:
                self._waiting.append(entry)
                continue
            if offset + size > begin:
                raise ValueError(f"the message ends before tensor {name!r}: {data_type} of shape {shape}")
            self._frame.tensors[name] = np.ndarray(shape, _TYPES[data_type], message, offset)
            offset += _aligned(size)


def _byte_count(data_type: str, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * _TYPES[data_type].itemsize


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
