"""The messages between the pool and a lane.

A frame is a binary message, and one more for each large tensor, so that nothing is copied together:

    tensors   up to 65,536 bytes each, in the order of the entries
    text      JSON: what the header has beside `id` and `op`; nothing where that is all
    entries   of each tensor: index in TENSOR_TYPES, number of dimensions, length of the name; dimensions, code points
    4 words   bytes of the text, words of the entries, index in OPERATIONS, `id`

Tensors and text are each filled up to a multiple of 8 bytes; what is not bytes is little-endian words of 4 bytes: for
a browser text costs more than anything else here. The large tensors follow in the order of the entries too. Tensors
cross as raw little-endian bytes; `frames.ts` is the other end.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json

Array = npt.NDArray[Any]
Message = bytes | memoryview

_WORD_BYTES = 4
_LAST_WORDS = 4
_ENTRY_WORDS = 3
_ALIGNMENT = 8
_INLINE_BYTES = 65_536
TENSOR_TYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")
_TYPES = tuple(np.dtype(name) for name in TENSOR_TYPES)
_NUMBERS = {dtype: number for number, dtype in enumerate(_TYPES)}
OPERATIONS = ("", "load", "put", "drop", "run", "share", "read", "free", "echo")  # an answer has none

_read_text = TypeAdapter(dict[str, Any], config=ConfigDict(strict=True)).validator.validate_json


class _Entry(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"tensor {self.name!r}: {self.dtype} of shape {self.shape}"


class Frame(NamedTuple):
    """A header and tensors by name. Tensors of a received frame are read-only views of it."""

    header: dict[str, Any]
    tensors: dict[str, Array]


def encode(header: Mapping[str, Any], tensors: Mapping[str, Array] | None = None) -> list[Message]:
    """The messages of a frame, to be sent one after another. Large tensors are not copied: leave them alone until
    they are sent.

    Raises:
        ValueError: a tensor's type is not among TENSOR_TYPES, or a dimension is too large; an unknown operation.
    """
    rest = dict(header)
    number, operation = rest.pop("id"), OPERATIONS.index(rest.pop("op", ""))
    words: list[int] = []
    blocks: list[bytes] = []
    apart: list[Message] = []
    for name, tensor in (tensors or {}).items():
        data_type = _NUMBERS.get(tensor.dtype)
        if data_type is None:
            raise ValueError(f"tensor {name!r} has type {tensor.dtype}; allowed: {', '.join(TENSOR_TYPES)}")
        if max(tensor.shape, default=0) >= 2**32:
            raise ValueError(f"tensor {name!r} has a dimension of 2**32 or more: {tensor.shape}")
        words += data_type, tensor.ndim, len(name), *tensor.shape, *map(ord, name)
        if tensor.nbytes > _INLINE_BYTES:
            apart.append(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
        else:
            blocks.append(_filled(tensor.tobytes()))
    text = to_json(rest) if rest else b""
    words += len(text), len(words), operation, number
    return [b"".join([*blocks, _filled(text), array("I", words)]), *apart]


class FrameReader:
    """Puts frames together from the messages of a socket."""

    def __init__(self) -> None:
        self._frame = Frame({}, {})
        self._waiting: list[_Entry] = []

    def feed(self, message: bytes) -> Frame | None:
        """Takes the next message; gives the frame that it completes.

        Raises:
            ValueError: the message is cut short, what it says is not as it should be, or a tensor is not as announced.
        """
        if self._waiting:
            entry = self._waiting.pop(0)
            if len(message) != entry.byte_count:
                raise ValueError(f"{len(message)} bytes came for {entry}")
            self._frame.tensors[entry.name] = np.ndarray(entry.shape, entry.dtype, message)
        else:
            self._begin(message)
        return self._frame if not self._waiting else None

    def _begin(self, message: bytes) -> None:
        if len(message) % _WORD_BYTES or len(message) < _LAST_WORDS * _WORD_BYTES:
            raise ValueError(f"a message of {len(message)} bytes is not a frame")
        words = memoryview(message).cast("I")
        text_length, entry_words, operation, number = words[-_LAST_WORDS:]
        entries_at = len(words) - _LAST_WORDS - entry_words
        text_at = entries_at * _WORD_BYTES - _aligned(text_length)
        if text_at < 0:
            raise ValueError(f"the message of {len(message)} bytes is shorter than its text and entries")
        header = _read(message[text_at : text_at + text_length]) if text_length else {}
        header["id"] = number
        if operation >= len(OPERATIONS):
            raise ValueError(f"not a frame: there is no operation {operation}")
        if operation:
            header["op"] = OPERATIONS[operation]
        self._frame = Frame(header, {})
        offset = 0
        for entry in _entries(words[entries_at:-_LAST_WORDS]):
            size = entry.byte_count
            if size > _INLINE_BYTES:
                self._waiting.append(entry)
                continue
            if offset + size > text_at:
                raise ValueError(f"the message ends before {entry}")
            self._frame.tensors[entry.name] = np.ndarray(entry.shape, entry.dtype, message, offset)
            offset += _aligned(size)
        if offset != text_at:
            raise ValueError(f"{text_at - offset} bytes of the message belong to no tensor")


def _read(text: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = _read_text(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ValueError(f"not a frame: {problem['msg']} at {problem['loc']} of its text") from error
    return header


def _entries(words: memoryview) -> list[_Entry]:
    entries = []
    at = 0
    while at < len(words):
        shape_at = at + _ENTRY_WORDS
        try:
            data_type, dimensions, letters = words[at:shape_at]
            name_at = shape_at + dimensions
            at = name_at + letters
            name = words[name_at:at].tobytes().decode("utf-32-le")
            entries.append(_Entry(name, _TYPES[data_type], tuple(words[shape_at:name_at])))
        except (ValueError, IndexError) as error:
            raise ValueError(f"not a frame: {error} in entry {len(entries)}") from error
    if at > len(words):
        raise ValueError(f"not a frame: entry {len(entries) - 1} is cut short")
    return entries


def _filled(data: bytes) -> bytes:
    return data.ljust(_aligned(len(data)), b"\0")


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
