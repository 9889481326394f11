"""Puts a graph together node by node and writes it, weights streamed, byte for byte the same every time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from corun.resource_pool.models.graphs.streaming import write_model

Array = npt.NDArray[np.generic]

OPSET = 17
IR_VERSION = 8
Shape = Sequence[int | str]


@dataclass(frozen=True, slots=True)
class _Weight:
    shape: tuple[int, ...]
    scale: float


class GraphBuilder:
    """A graph in the making. Methods return names of tensors, to be handed to the next node.

    Weights are numbers drawn from `seed` and their own name, so that their order does not matter; they exist
    only while they are written.
    """

    def __init__(self, name: str, *, seed: int = 0) -> None:
        self._name = name
        self._seed = seed
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, _Weight | Array] = {}

    def input(self, name: str, data_type: int, shape: Shape) -> str:
        """Declares an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, data_type, shape))
        return name

    def output(self, tensor: str, name: str, shape: Shape, data_type: int = TensorProto.FLOAT) -> None:
        """Declares `tensor` to be an output of the graph called `name`."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"output_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, data_type, shape))

    def weight(self, name: str, *shape: int, scale: float = 0.02) -> str:
        """A seeded float32 weight, evenly distributed with standard deviation `scale`."""
        return self._add(name, _Weight(shape, scale))

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """A tensor with given values. The same name with the same values may come again."""
        return self._add(name, np.asarray(value, dtype=dtype))

    def integers(self, *values: int) -> str:
        """An int64 vector, as shapes and axes are."""
        return self.constant("ints_" + "_".join(map(str, values)), values, np.int64)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def save(self, path: Path) -> None:
        """Writes the model."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "corun"
        write_model(path, model, ((name, self._values(name)) for name in self._initializers), self._shapes())

    def _add(self, name: str, value: _Weight | Array) -> str:
        self._initializers.setdefault(name, value)
        return name

    def _shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        return {
            name: (each.shape, np.dtype(np.float32) if isinstance(each, _Weight) else each.dtype)
            for name, each in self._initializers.items()
        }

    def _values(self, name: str) -> Array:
        value = self._initializers[name]
        return seeded_values(name, value.shape, value.scale, self._seed) if isinstance(value, _Weight) else value


def seeded_values(name: str, shape: Sequence[int], scale: float, seed: int) -> npt.NDArray[np.float32]:
    """Even noise of standard deviation `scale`.

    Made from the raw bits of PCG64, which numpy promises to keep (unlike the streams of its distributions), and
    exact float32 arithmetic, so that every machine and version writes the same bytes.
    """
    count = int(np.prod(shape, dtype=np.int64))
    bits = np.random.PCG64([seed, zlib.crc32(name.encode())]).random_raw((count + 1) // 2).astype("<u8")
    steps = (bits.view("<u4")[:count] >> np.uint32(8)).astype(np.float32)
    even = steps * np.float32(2.0**-23) - np.float32(1.0)
    return (even * np.float32(scale * 3.0**0.5)).reshape(shape)
