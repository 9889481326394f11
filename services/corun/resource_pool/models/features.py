"""What can be read off a graph without running it: floating point operations, bytes, operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

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
        operator_count: Nodes other than constants, those in branches and loops included.
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
        weight_bytes=sum(_tensor_bytes(tensor) for tensor in all_tensors(model)),
        activation_bytes_per_item=activation_bytes / batch_size,
        operator_count=sum(node.op_type != "Constant" for graph in all_graphs(model) for node in graph.node),
        dynamic_batch=dynamic_batch,
    )


def all_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph and, at any depth, the bodies of its branches and loops."""
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor stored in the file: initializers and those in attributes, sparse ones and functions included."""
    nodes = [node for graph in all_graphs(model) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    sparse = [each for graph in all_graphs(model) for each in graph.sparse_initializer]
    for graph in all_graphs(model):
        yield from graph.initializer
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            sparse += attribute.sparse_tensors
    for each in sparse:
        yield each.values
        yield each.indices


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
