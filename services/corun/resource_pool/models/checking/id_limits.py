"""Inputs of a graph that are indices, and how large those may be."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from corun.resource_pool.models.shapes import KnownTensor, constant_tensors


def read_id_limits(model: onnx.ModelProto, shapes: Mapping[str, KnownTensor]) -> dict[str, int]:
    """Inputs of the graph that index one of its tables, and the number of rows there."""
    tables = {name: shapes[name].shape[0] for name in constant_tensors(model) if name in shapes and shapes[name].shape}
    source = {value.name: value.name for value in model.graph.input}
    limits: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze") and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        elif node.op_type == "Gather" and node.input[0] in tables and node.input[1] in source:
            name, rows = source[node.input[1]], tables[node.input[0]]
            limits[name] = min(limits.get(name, rows), rows)
    return limits
