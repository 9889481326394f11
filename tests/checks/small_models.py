"""Models that every platform runs in no time, and one that takes a while."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from corun.resource_pool.models.graphs.bert import bert_graph

WIDTH, OUTER = 8, 4
HEAVY_WIDTH, HEAVY_LAYERS = 512, 30


def write_models(folder: Path) -> dict[str, Path]:
    """Files by name.

    `product`: y [batch, 4] = x [batch, 8] times a weight. `head`: z [batch, 4] = softmax of y [batch, 4].
    `pair`: sum and difference of a and b, both [batch, 4]. `heavy`: 30 products of 512 x 512.
    `encoder`: a BERT of one layer. `broken`: no model at all.
    """
    graphs = {"product": _product(), "head": _head(), "pair": _pair(), "heavy": _heavy()}
    paths = {name: folder / f"{name}.onnx" for name in (*graphs, "encoder", "broken")}
    for name, graph in graphs.items():
        onnx.save(graph, paths[name])
    bert_graph(layers=1, width=16, heads=2, vocabulary=50, positions=16).save(paths["encoder"])
    paths["broken"].write_bytes(b"this is no ONNX file" * 10)
    return paths


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _product() -> onnx.ModelProto:
    weight = np.random.default_rng(1).normal(0, 1, (WIDTH, OUTER)).astype(np.float32)
    return _model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": WIDTH}, {"y": OUTER}, {"w": weight})


def _head() -> onnx.ModelProto:
    return _model([helper.make_node("Softmax", ["y"], ["z"], axis=-1)], {"y": OUTER}, {"z": OUTER})


def _pair() -> onnx.ModelProto:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    return _model(nodes, {"a": OUTER, "b": OUTER}, {"sum": OUTER, "difference": OUTER})


def _heavy() -> onnx.ModelProto:
    rng = np.random.default_rng(2)
    weights = {f"w{layer}": rng.normal(0, 0.04, (HEAVY_WIDTH, HEAVY_WIDTH)) for layer in range(HEAVY_LAYERS)}
    names = ["x", *(f"h{layer}" for layer in range(HEAVY_LAYERS - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[n], f"w{n}"], [names[n + 1]]) for n in range(HEAVY_LAYERS)]
    arrays = {name: weight.astype(np.float32) for name, weight in weights.items()}
    return _model(nodes, {"x": HEAVY_WIDTH}, {"y": HEAVY_WIDTH}, arrays)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, int],
    outputs: dict[str, int],
    weights: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    def values(widths: dict[str, int]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in widths.items()
        ]

    constants = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "small", values(inputs), values(outputs), constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
