"""Inputs and outputs of a model's graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx

# Names of onnx.TensorProto.DataType that numpy spells otherwise or does not have.
_NUMPY_NAMES = {"FLOAT": "float32", "DOUBLE": "float64"}

FREE_DIMENSION = "?"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output.

    Attributes:
        name: In the graph.
        data_type: As numpy names it: float32, int64, bool.
        shape: Sizes, outermost first; the name of a free dimension where it has no fixed size,
            "?" where it has no name either.
    """

    name: str
    data_type: str
    shape: tuple[int | str, ...]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type of the elements."""
        return np.dtype(self.data_type)

    @property
    def named_shape(self) -> tuple[int | str, ...]:
        """The shape with a name of its own for each free dimension that has none, or shares one within the tensor."""
        return tuple(
            f"{self.name}:{axis}"
            if size == FREE_DIMENSION or (isinstance(size, str) and self.shape.count(size) > 1)
            else size
            for axis, size in enumerate(self.shape)
        )


def read_inputs(graph: onnx.GraphProto) -> tuple[TensorSpec, ...]:
    """What a caller has to feed: the graph's inputs that have no initializer."""
    given = {tensor.name for tensor in graph.initializer}
    return _specs(value for value in graph.input if value.name not in given)


def read_outputs(graph: onnx.GraphProto) -> tuple[TensorSpec, ...]:
    """What the graph gives back."""
    return _specs(graph.output)


def _specs(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(value.name, _type_name(value), tuple(_size(each) for each in value.type.tensor_type.shape.dim))
        for value in values
    )


def _type_name(value: onnx.ValueInfoProto) -> str:
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"{value.name!r} is not a tensor")
    name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    return _NUMPY_NAMES.get(name, name.lower())


def _size(dimension: onnx.TensorShapeProto.Dimension) -> int | str:
    if dimension.HasField("dim_value") and dimension.dim_value > 0:
        return int(dimension.dim_value)
    return str(dimension.dim_param) or FREE_DIMENSION
