"""Model folders for tests: small, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
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


def write_word_tokenizer(folder: Path) -> None:
    """Splits at spaces; one to nine are ids 1 to 9."""
    words = ["[PAD]", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    told: dict[str, object] = {
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": {"Fixed": 50},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "[PAD]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")


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


COUNTING_RECIPE = """
type = "audio"
[preprocessing]
kind = "waveform"
sample_rate = 1000
min_seconds = 0.01
max_seconds = 0.5
sample_seconds = 0.05
[seq2seq]
start = [0]
end = 9
max_tokens = 12
tokens_per_second = 100
sample_tokens = 3
encoder_mask = "mask"
"""


def counting_graphs() -> dict[str, onnx.ModelProto]:
    """An encoder and a decoder of ten tokens that count: 1, 2, 3 up to 9, which ends; after a loud recording (whose
    samples sum up to more than one) the end comes at once."""
    floats, integers = TensorProto.FLOAT, TensorProto.INT64
    encoder = helper.make_graph(
        [
            helper.make_node("Cast", ["mask"], ["kept"], to=floats),
            helper.make_node("Mul", ["sound", "kept"], ["masked"]),
            helper.make_node("Unsqueeze", ["masked", "last"], ["last_hidden_state"]),
        ],
        "encoder",
        [
            helper.make_tensor_value_info("sound", floats, ["batch", "samples"]),
            helper.make_tensor_value_info("mask", integers, ["batch", "samples"]),
        ],
        [helper.make_tensor_value_info("last_hidden_state", floats, ["batch", "samples", 1])],
        [helper.make_tensor("last", integers, [1], [-1])],
    )
    follows = np.roll(np.eye(10, dtype=np.float32), 1, axis=1)
    ends = np.eye(10, dtype=np.float32)[9:]
    decoder = helper.make_graph(
        [
            helper.make_node("Gather", ["follows", "input_ids"], ["counted"]),
            helper.make_node("ReduceSum", ["encoder_hidden_states", "along"], ["loudness"]),
            helper.make_node("Mul", ["loudness", "ends"], ["ended"]),
            helper.make_node("Add", ["counted", "ended"], ["logits"]),
        ],
        "decoder",
        [
            helper.make_tensor_value_info("input_ids", integers, ["batch", "tokens"]),
            helper.make_tensor_value_info("encoder_hidden_states", floats, ["batch", "samples", 1]),
        ],
        [helper.make_tensor_value_info("logits", floats, ["batch", "tokens", 10])],
        [
            numpy_helper.from_array(follows, "follows"),
            numpy_helper.from_array(ends, "ends"),
            helper.make_tensor("along", integers, [1], [1]),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    graphs = {"encoder": encoder, "decoder": decoder}
    return {name: helper.make_model(graph, opset_imports=opsets, ir_version=8) for name, graph in graphs.items()}


def write_parts(folder: Path, graphs: Mapping[str, onnx.ModelProto], *, manifest: str) -> Path:
    """An encoder and a decoder as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    (folder / "model.toml").write_text(manifest, encoding="utf-8")
    return folder
