"""The one place where a model file is opened and checked before a browser sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from corun.errors import CorunError, ModelRefused
from corun.resource_pool.models.features import GraphFeatures, all_tensors, read_features
from corun.resource_pool.models.manifest import FramesInput, Manifest
from corun.resource_pool.models.recipe import CacheTensor
from corun.resource_pool.models.samples import has_dynamic_batch, sample_shapes
from corun.resource_pool.models.shapes import KnownTensor, constant_tensors, known_shapes
from corun.resource_pool.models.signature import TensorSpec, read_inputs, read_outputs

# A protobuf message ends at 2^31 bytes; a browser's WebAssembly memory at twice that, weights copied once.
MAX_MODEL_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model file was found to be.

    Attributes:
        sha256: Of the file, lower-case hexadecimal; of a model in parts, of their digests in order.
        size_bytes: Of the file, or of all parts.
        inputs: What has to be fed.
        outputs: What comes back.
        features: For the predictor.
        id_limits: Inputs that index a table in the graph, and the number of its rows.
        file_digests: SHA-256 of each file.
        cache: The decoder's, of a model in parts.
    """

    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: GraphFeatures
    id_limits: dict[str, int]
    file_digests: tuple[str, ...]
    cache: tuple[CacheTensor, ...] = ()


def inspect_model_file(path: Path, *, name: str, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> Facts:
    """Checks the file and reads it off.

    Raises:
        ModelRefused: as `open_graph`, and for a graph that its manifest does not fit.
    """
    if manifest.seq2seq is not None:
        raise ModelRefused(name, f"a table [seq2seq] needs two graphs beside it, not {path.name}")
    model = open_graph(path, name=name, max_bytes=max_bytes)
    with refusing_broken_graphs(name):
        inputs, outputs = read_inputs(model.graph), read_outputs(model.graph)
        if isinstance(manifest.preprocessing, FramesInput) and not has_dynamic_batch(inputs):
            raise ModelRefused(name, f"frames need a free first dimension of input {inputs[0].name!r}")
        features, limits = _read_graph(model, inputs, manifest)
    digest = file_digest(path)
    return Facts(digest, path.stat().st_size, inputs, outputs, features, limits, file_digests=(digest,))


def open_graph(path: Path, *, name: str, max_bytes: int = MAX_MODEL_BYTES) -> onnx.ModelProto:
    """The graph in a file, checked.

    Raises:
        ModelRefused: too large, not ONNX, data in other files, tensors that the browser's runtime does not
            have, a graph that breaks ONNX's rules, or one without inputs or outputs.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise ModelRefused(name, f"the file has {size} bytes, the limit is {max_bytes}")
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ModelRefused(name, f"the file is not ONNX: {error}") from error
    _refuse_external_data(name, model)
    with refusing_broken_graphs(name):
        onnx.checker.check_model(str(path))
        inputs, outputs = read_inputs(model.graph), read_outputs(model.graph)
    if not inputs or not outputs:
        raise ModelRefused(name, f"the graph has {len(inputs)} inputs and {len(outputs)} outputs")
    return model


@contextmanager
def refusing_broken_graphs(name: str) -> Iterator[None]:
    """Turns what onnx raises over a graph into ModelRefused."""
    try:
        yield
    except CorunError:
        raise
    except (onnx.checker.ValidationError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelRefused(name, f"the graph breaks ONNX's rules: {error}") from error


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
    return features, id_limits(model, shapes)


def id_limits(model: onnx.ModelProto, shapes: Mapping[str, KnownTensor]) -> dict[str, int]:
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


def file_digest(path: Path) -> str:
    """SHA-256, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
