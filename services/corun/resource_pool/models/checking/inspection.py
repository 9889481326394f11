"""The one place where a model file is opened and checked before a browser sees it.

What it may hold is anything, so this runs in a process of its own: see `child` and `limits`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from corun.errors import CorunError, ModelRefused
from corun.resource_pool.models.checking.contents import Unfit, check_contents, check_signature, check_sizes
from corun.resource_pool.models.checking.trial import load_once
from corun.resource_pool.models.facts import MAX_MODEL_BYTES, Facts
from corun.resource_pool.models.features import GraphFeatures, read_features
from corun.resource_pool.models.manifest import FramesInput, Manifest
from corun.resource_pool.models.regular_files import read_regular
from corun.resource_pool.models.samples import has_dynamic_batch, sample_shapes
from corun.resource_pool.models.shapes import KnownTensor, constant_tensors, known_shapes
from corun.resource_pool.models.signature import TensorSpec, read_inputs, read_outputs


def inspect_model_file(path: Path, *, name: str, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> Facts:
    """Reads the file once, checks what it read, and describes it.

    Raises:
        ModelRefused: no regular file, too large, not ONNX, data in other files, sizes that no browser holds, or a
            graph that breaks ONNX's rules or does not load in a runtime.
        MemoryError: the check takes more memory than it may.
        OSError: it cannot be read.
    """
    try:
        content = read_regular(path, max_bytes=max_bytes)
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        if "alloc failed" in str(error):
            raise MemoryError from error
        raise ModelRefused(name, f"the file is not ONNX: {error}") from error
    except ValueError as error:
        raise ModelRefused(name, str(error)) from error
    facts = _inspect(model, content, name=name, manifest=manifest)
    del model  # the runtime needs its place
    try:
        load_once(content)
    except ValueError as error:
        raise ModelRefused(name, str(error)) from error
    return facts


def _inspect(model: onnx.ModelProto, content: bytes, *, name: str, manifest: Manifest) -> Facts:
    try:
        check_contents(model, size_bytes=len(content))
        onnx.checker.check_model(content)
        inputs, outputs = read_inputs(model.graph), read_outputs(model.graph)
        check_signature(inputs, outputs)
        _check_frames(inputs, manifest)
        features, id_limits = _read_graph(model, inputs, manifest)
    except (CorunError, MemoryError):
        raise
    except Unfit as error:
        raise ModelRefused(name, str(error)) from error
    except Exception as error:  # onnx raises what it likes
        raise ModelRefused(name, f"the graph breaks ONNX's rules: {error}") from error
    return Facts(hashlib.sha256(content).hexdigest(), len(content), inputs, outputs, features, id_limits)


def _check_frames(inputs: tuple[TensorSpec, ...], manifest: Manifest) -> None:
    if isinstance(manifest.preprocessing, FramesInput) and not has_dynamic_batch(inputs):
        raise Unfit(f"frames need a free first dimension of input {inputs[0].name!r}")


def _read_graph(
    model: onnx.ModelProto, inputs: tuple[TensorSpec, ...], manifest: Manifest
) -> tuple[GraphFeatures, dict[str, int]]:
    first = inputs[0].shape[0] if inputs[0].shape else 1
    batch_size = first if isinstance(first, int) else 1
    shapes = known_shapes(model, sample_shapes(inputs, manifest, batch_size))
    check_sizes(shapes)
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
