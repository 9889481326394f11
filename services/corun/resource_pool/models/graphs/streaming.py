"""Writes an ONNX file one tensor at a time, so that half a gigabyte of weights never is in memory at once.

Protobuf messages are length-delimited, and the length of a tensor's message follows from its shape; so the graph's
length can be written before its tensors are there. Fields may come in any order: here the weights come last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

Array = npt.NDArray[np.generic]
Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]]

_LENGTH_DELIMITED = 2
_GRAPH_FIELD = onnx.ModelProto.GRAPH_FIELD_NUMBER
_INITIALIZER_FIELD = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
_RAW_DATA_FIELD = TensorProto.RAW_DATA_FIELD_NUMBER


def write_model(path: Path, model: onnx.ModelProto, tensors: Iterable[tuple[str, Array]], shapes: Shapes) -> None:
    """Writes `model` with `tensors` as further initializers; `shapes` tells of the same tensors in the same order."""
    graph = model.graph.SerializeToString(deterministic=True)
    heads = {name: _tensor_head(name, shape, dtype) for name, (shape, dtype) in shapes.items()}
    length = len(graph) + sum(
        len(_field(_INITIALIZER_FIELD, size := len(head) + _raw_bytes(*shapes[name]))) + size
        for name, head in heads.items()
    )
    frame = onnx.ModelProto()
    frame.CopyFrom(model)
    frame.ClearField("graph")
    with path.open("wb") as file:
        file.write(frame.SerializeToString(deterministic=True))
        file.write(_field(_GRAPH_FIELD, length))
        file.write(graph)
        for name, values in tensors:
            head = heads[name]
            file.write(_field(_INITIALIZER_FIELD, len(head) + _raw_bytes(*shapes[name])))
            file.write(head)
            file.write(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)


def _tensor_head(name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bytes:
    told = TensorProto(name=name, dims=shape, data_type=helper.np_dtype_to_tensor_dtype(dtype))
    return told.SerializeToString(deterministic=True) + _field(_RAW_DATA_FIELD, _raw_bytes(shape, dtype))


def _raw_bytes(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    return math.prod(shape) * dtype.itemsize


def _field(number: int, length: int) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
