"""A models folder with graphs small enough for a test, and an environment in which nothing outside is touched."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_WIDTH = 256
_LAYERS = 8


def write_tiny_models(folder: Path) -> Path:
    """`tiny-text` (trained, says its manifest) and `tiny-vision` (seeded); both take [batch, 256] floats."""
    for name, kind, origin in (
        ("tiny-text", "text_embedding", "PRETRAINED"),
        ("tiny-vision", "vision", "SEEDED"),
    ):
        place = folder / name
        place.mkdir(parents=True)
        onnx.save(_layers(), place / "model.onnx")
        (place / "model.toml").write_text(f'type = "{kind}"\nweights_origin = "{origin}"\nlicense = "CC0-1.0"\n')
    return folder


def isolated_environment(folder: Path) -> dict[str, str]:
    """This process's environment with database, predictor's state and models under `folder`."""
    return os.environ | {
        "CORUN_VALIDATOR_DB_PATH": str(folder / "corun.duckdb"),
        "CORUN_PREDICTOR_STATE_FOLDER": str(folder / "predictor"),
        "CORUN_RESOURCE_POOL_MODELS_FOLDER": str(write_tiny_models(folder / "models")),
        "CORUN_RESOURCE_POOL_MAX_CONNECTIONS": "1",
        "CORUN_RESOURCE_POOL_CORE_COUNT": "2",
        "CORUN_RESOURCE_POOL_PROBE_AT_START": "false",
    }


def _layers() -> onnx.ModelProto:
    rng = np.random.default_rng(7)
    names = ["input", *(f"hidden{layer}" for layer in range(_LAYERS - 1)), "output"]
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.05, (_WIDTH, _WIDTH)).astype(np.float32), f"weight{layer}")
        for layer in range(_LAYERS)
    ]
    nodes = [
        helper.make_node("MatMul", [names[layer], f"weight{layer}"], [names[layer + 1]]) for layer in range(_LAYERS)
    ]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", _WIDTH]) for name in ("input", "output")]
    graph = helper.make_graph(nodes, "layers", value[:1], value[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
