"""Graphs out of onnxruntime's own file format (`.ort`), which it writes for small builds of itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from corun.resource_pool.models.features import message_parts


def convert_ort_file(source: Path, target: Path) -> None:
    """Writes the graph of `source` as single-file ONNX; what it computes stays the same to the last bit.

    Raises:
        ValueError: where onnxruntime cannot read it.
    """
    # Half a second to import, and only preparing such a model needs it.
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="corun-ort-") as folder:
        saved = Path(folder) / "graph.onnx"
        options = SessionOptions()
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(saved)
        options.add_session_config_entry("session.save_model_format", "ONNX")
        try:
            InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own errors have no common base
            raise ValueError(f"{source.name} is not a graph that onnxruntime reads: {error}") from error
        model = onnx.load_model(saved)
    _complete(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def _complete(model: onnx.ModelProto) -> None:
    """Names what the format left without a name, and drops operator sets that no node uses."""
    parts = list(message_parts(model))
    graphs = [part for part in parts if isinstance(part, onnx.GraphProto)]
    for number, graph in enumerate(graphs):
        graph.name = graph.name or f"graph_{number}"
    used = {part.domain for part in parts if isinstance(part, onnx.NodeProto)}
    kept = [each for each in model.opset_import if each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
