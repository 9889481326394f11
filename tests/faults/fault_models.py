"""Models that misbehave, small enough to be made on the spot. All take `x` [batch, width] and give `y`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.unit.resource_pool.model_folders import product_graph, write_graph

QUICK, BUSY, SLOW, ENDLESS, HEAVY = "quick", "busy", "slow", "endless", "heavy"

# Some 30 and 150 ms of WebAssembly on one thread.
_BUSY_ROUNDS, _SLOW_ROUNDS = 20_000, 100_000
_WIDTH = 8
_HEAVY_WIDTH = 1024
_HEAVY_LAYERS = 6

_MANIFEST = 'type = "text_embedding"\nweights_origin = "SEEDED"\nlicense = "CC0-1.0"\n'


def write_fault_models(folder: Path) -> Path:
    """The models as folders.

    QUICK does nothing wrong; BUSY takes a while on the CPU, SLOW longer; ENDLESS never ends; HEAVY keeps a
    graphics device at work for seconds.
    """
    graphs = {
        QUICK: product_graph(),
        BUSY: _loop(_BUSY_ROUNDS),
        SLOW: _loop(_SLOW_ROUNDS),
        ENDLESS: _loop(2**62),
        HEAVY: _heavy(),
    }
    for name, graph in graphs.items():
        write_graph(folder / name, graph, manifest=_MANIFEST)
    return folder


def _model(
    nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], *, width: int, outer: int
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", outer])]
    graph = helper.make_graph(nodes, "faulty", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _loop(rounds: int) -> onnx.ModelProto:
    """x, halved and doubled so many times."""
    scalars = [helper.make_tensor_value_info("round", TensorProto.INT64, [])]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("Sin", ["state"], ["next_state"]),
        ],
        "body",
        [
            *scalars,
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", _WIDTH]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, ["batch", _WIDTH]),
        ],
    )
    constants = [
        numpy_helper.from_array(np.array(rounds, np.int64), "rounds"),
        numpy_helper.from_array(np.array(True), "yes"),
    ]
    return _model(
        [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], body=body)], constants, width=_WIDTH, outer=_WIDTH
    )


def _heavy() -> onnx.ModelProto:
    weight = np.eye(_HEAVY_WIDTH, dtype=np.float32) * 0.5
    names = ["x", *(f"hidden{layer}" for layer in range(_HEAVY_LAYERS - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[layer], "weight"], [names[layer + 1]]) for layer in range(_HEAVY_LAYERS)]
    return _model(nodes, [numpy_helper.from_array(weight, "weight")], width=_HEAVY_WIDTH, outer=_HEAVY_WIDTH)
