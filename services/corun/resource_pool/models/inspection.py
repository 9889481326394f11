"""The one place where a model file is opened and checked before a browser sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from corun.errors import CorunError, ModelRefused
from corun.resource_pool.models.features import GraphFeatures, all_tensors, read_features
from corun.resource_pool.models.manifest import FramesInput, Manifest
from corun.resource_pool.models.samples import has_dynamic_batch, sample_shapes
from corun.resource_pool.models.shapes import KnownTensor, constant_tensors, known_shapes
from corun.resource_pool.models.signature import TensorSpec, read_inputs, read_outputs

# A protobuf message ends at 2^31 bytes; a browser's WebAssembly memory at twice that, weights copied once.
MAX_MODEL_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model file was found to be.

    Attributes:
        sha256: Of the file, lower-case hexadecimal.
        size_bytes: Of the file.
        inputs: What has to be fed.
        outputs: What comes back.
        features: For the predictor.
        id_limits: Inputs that index a table in the graph, and the number of its rows.
    """

    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: GraphFeatures
    id_limits: dict[str, int]


def inspect_model_file(path: Path, *, name: str, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> Facts:
    """Checks the file and reads it off.

    Raises:
        ModelRefused: too large, not ONNX, data in other files, tensors that the browser's runtime does not
            have, or a graph that breaks ONNX's rules.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise ModelRefused(name, f"the file has {size} bytes, the limit is {max_bytes}")
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ModelRefused(name, f"the file is not ONNX: {error}") from error
    _refuse_external_data(name, model)
    try:
        onnx.checker.check_model(str(path))
        inputs, outputs = read_inputs(model.graph), read_outputs(model.graph)
        if not inputs or not outputs:
            raise ModelRefused(name, f"the graph has {len(inputs)} inputs and {len(outputs)} outputs")
        if isinstance(manifest.preprocessing, FramesInput) and not has_dynamic_batch(inputs):
            raise ModelRefused(name, f"frames need a free first dimension of input {inputs[0].name!r}")
        features, id_limits = _read_graph(model, inputs, manifest)
    except CorunError:
        raise
    except (onnx.checker.ValidationError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelRefused(name, f"the graph breaks ONNX's rules: {error}") from error
    return Facts(_sha256(path), size, inputs, outputs, features, id_limits)


def _refuse_external_data(name: str, model: onnx.ModelProto) -> None:
    # training_info may hold graphs of its own; nothing here runs them, so they have no business in the file.
    if model.training_info:
        raise ModelRefused(name, "the file holds training graphs; export it for inference")
    for tensor in all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelRefused(
                name, f"tensor {tensor.name!r} keeps its data in another file; save the model as a single file"
            )


def _read_graph(
    model: onnx.ModelProto, inputs: tuple[TensorSpec, ...], manifest: Manifest
) -> tuple[GraphFeatures, dict[str, int]]:
    first = inputs[0].shape[0] if inputs[0].shape else 1
    batch_size = first if isinstance(first, int) else 1
    shapes = known_shapes(model, sample_shapes(inputs, manifest, batch_size))
    features = read_features(model, shapes, batch_size=batch_size, dynamic_batch=has_dynamic_batch(inputs))
    return features, _id_limits(model, shapes)


def _id_limits(model: onnx.ModelProto, shapes: Mapping[str, KnownTensor]) -> dict[str, int]:
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
