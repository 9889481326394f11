"""What can be read off a graph without running it: floating point operations, bytes, operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from google.protobuf.message import Message

from corun.resource_pool.models.flops import node_flops
from corun.resource_pool.models.shapes import KnownTensor, constant_tensors

# Runtimes give these their input's memory.
_VIEWS = frozenset(["Constant", "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"])


@dataclass(frozen=True, slots=True)
class GraphFeatures:
    """Features of a graph.

    Attributes:
        flops_per_item: A multiply and an add count as two; an element of any other result counts as one.
        weight_bytes: Bytes of all weights.
        activation_bytes_per_item: Bytes of all intermediate results, were none freed.
        operator_count: Nodes other than constants, those in branches, loops and functions included.
        dynamic_batch: True where the graph takes any number of items in one run.
    """

    flops_per_item: float
    weight_bytes: int
    activation_bytes_per_item: float
    operator_count: int
    dynamic_batch: bool


def read_features(
    model: onnx.ModelProto, shapes: Mapping[str, KnownTensor], *, batch_size: int, dynamic_batch: bool
) -> GraphFeatures:
    """Counts in `shapes`, which are those of a run of `batch_size` items."""
    constants = constant_tensors(model)
    # Where a shape stays unknown, one row of a product an input element is assumed (a row a token, a row a frame).
    fed = [shapes[value.name].shape for value in model.graph.input if value.name in shapes]
    rows = max((math.prod(shape[:2]) for shape in fed), default=1)
    flops = activation_bytes = 0.0
    for node in model.graph.node:
        if all(name in constants for name in node.output):
            continue
        flops += node_flops(node, shapes, rows)
        if node.op_type not in _VIEWS:
            activation_bytes += sum(shapes[name].size_bytes for name in node.output if name in shapes)
    return GraphFeatures(
        flops_per_item=flops / batch_size,
        weight_bytes=sum(_tensor_bytes(part) for part in message_parts(model) if isinstance(part, onnx.TensorProto)),
        activation_bytes_per_item=activation_bytes / batch_size,
        operator_count=sum(
            part.op_type != "Constant" for part in message_parts(model) if isinstance(part, onnx.NodeProto)
        ),
        dynamic_batch=dynamic_batch,
    )


def message_parts(model: onnx.ModelProto) -> Iterator[Message]:
    """Every message in the file wherever it hides: branches, functions, defaults of their attributes."""
    waiting: list[Message] = [model]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, onnx.TensorProto):
            continue  # listing its fields would copy its data
        for field, value in part.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
