"""Model folders for tests: small, made on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.resource_pool.models import ModelCatalog
from corun.resource_pool.models.checking.limits import CheckLimits
from corun.resource_pool.models.facts import MAX_MODEL_BYTES
from corun.resource_pool.models.graphs.bert import bert_graph
from corun.resource_pool.models.sources.wheels import FetchFailed, Wheel

Array = npt.NDArray[np.generic]

# Nothing listens on the discard port: connections to it are refused at once.
NO_HUB = "http://127.0.0.1:9"


def no_download(wheel: Wheel, folder: Path) -> Path:
    """A package index that is out of reach."""
    raise FetchFailed(f"{wheel} could not be fetched: no network in this test")


def offline_catalog(
    tmp_path: Path,
    *,
    models_folder: Path | None = None,
    check_limits: CheckLimits | None = None,
    max_model_bytes: int = MAX_MODEL_BYTES,
) -> ModelCatalog:
    """A catalog with an empty cache that reaches neither packages nor the Hub."""
    return ModelCatalog(
        models_folder=models_folder,
        cache_folder=tmp_path / "cache",
        hub_endpoint=NO_HUB,
        download=no_download,
        max_model_bytes=max_model_bytes,
        check_limits=check_limits,
    )


def write_tiny_bert(folder: Path, *, seed: int = 0, manifest: str = "") -> Path:
    """A BERT of two layers as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    bert_graph(layers=2, width=32, heads=2, vocabulary=100, positions=64, seed=seed).save(folder / "model.onnx")
    if manifest:
        (folder / "model.toml").write_text(manifest, encoding="utf-8")
    return folder


def write_graph(folder: Path, model: onnx.ModelProto, *, manifest: str = "") -> Path:
    """Any graph as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    if manifest:
        (folder / "model.toml").write_text(manifest, encoding="utf-8")
    return folder


def product_graph(*, batch: int | str = "batch", inner: int = 8, outer: int = 4) -> onnx.ModelProto:
    """x [batch, inner] times a weight: y [batch, outer]."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [inner, outer], [0.5] * (inner * outer))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, inner])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, outer])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run_on_cpu(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The reference: all outputs by name, from onnxruntime on the CPU."""
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))
