"""The file that a platform's runtime is given: the model's own, or one rewritten around a fault of that runtime.

onnxruntime-web 1.30 on WebGPU miscomputes ungrouped convolutions wider than one element whose input channels
are more than three and no multiple of four (microsoft/onnxruntime issue 29651; seen here with 6, 9 and 129
channels, errors as large as the results). Zero channels are added to such inputs and to the weights: the sums
stay what they are, and the shader takes its correct path.

WebNN needs every size before a session is built, and sessions are given sizes of free dimensions by name. So free
dimensions without a name, or that share one within an input without being equal, get names of their own.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from corun.resource_pool.models.files import ModelFile
from corun.resource_pool.models.signature import read_inputs

_CHANNEL_MULTIPLE = 4
_SAFE_CHANNELS = 3
_PAD_TAKES_INPUTS_SINCE = 11
_UNCHANGED = "unchanged"


class PlatformFiles:
    """Rewritten files, kept in `folder` by the digest of what they were made from. Safe to use from several
    threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def file_for(self, own: ModelFile, platform: str) -> ModelFile:
        """What lanes of this platform load instead of `own`. Blocking: the first time it may read and write the file.

        Raises:
            OSError: when the folder cannot be written.
        """
        rewrite = _REWRITES.get(platform)
        if rewrite is None:
            return own
        folder = self._folder / platform
        with self._lock:
            record = folder / f"{own.sha256}.txt"
            digest = record.read_text() if record.is_file() else _rewritten(own, record, rewrite)
        return own if digest == _UNCHANGED else ModelFile(folder / f"{digest}.onnx", digest)


def _rewritten(own: ModelFile, record: Path, rewrite: Callable[[onnx.ModelProto], int]) -> str:
    """Writes what a rewrite makes of a file beside the record of its digest; gives the digest."""
    record.parent.mkdir(parents=True, exist_ok=True)
    graph_file = onnx.load_model(own.path, load_external_data=False)
    digest = _UNCHANGED
    if rewrite(graph_file):
        content = graph_file.SerializeToString(deterministic=True)
        digest = hashlib.sha256(content).hexdigest()
        _replace(record.with_name(f"{digest}.onnx"), content)
    _replace(record, digest.encode())
    return digest


def name_free_dimensions(model: onnx.ModelProto) -> int:
    """Names the free dimensions of the inputs in place, as `TensorSpec.named_shape` does; gives back how many of them
    had another name or none."""
    inputs = {value.name: value for value in model.graph.input}
    count = 0
    for spec in read_inputs(model.graph):
        dimensions = inputs[spec.name].type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, spec.named_shape, strict=True):
            if isinstance(name, str) and dimension.dim_param != name:
                dimension.dim_param = name
                count += 1
    return count


def pad_convolution_channels(model: onnx.ModelProto) -> int:
    """Rewrites the convolutions that WebGPU miscomputes, in place; gives back how many there were."""
    opset = max((each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}), default=0)
    if opset < _PAD_TAKES_INPUTS_SINCE:
        return 0
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in model.graph.node:
        weight = weights.get(node.input[1]) if node.op_type == "Conv" else None
        if weight is not None and _is_miscomputed(node, weight):
            nodes += _padded(node, weight, model.graph, prefix=f"corun_padded_{count}")
            count += 1
        else:
            nodes.append(node)
    if count:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return count


def _is_miscomputed(node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    grouped = any(attribute.name == "group" and attribute.i != 1 for attribute in node.attribute)
    channels, kernel = weight.dims[1], math.prod(weight.dims[2:])
    return not grouped and kernel > 1 and channels > _SAFE_CHANNELS and channels % _CHANNEL_MULTIPLE != 0


def _padded(
    node: onnx.NodeProto, weight: onnx.TensorProto, graph: onnx.GraphProto, *, prefix: str
) -> Iterator[onnx.NodeProto]:
    missing = -weight.dims[1] % _CHANNEL_MULTIPLE
    rank = len(weight.dims)
    pads = np.zeros(2 * rank, np.int64)
    pads[rank + 1] = missing
    wider = np.pad(numpy_helper.to_array(weight), [(0, missing if axis == 1 else 0) for axis in range(rank)])
    graph.initializer.append(numpy_helper.from_array(pads, f"{prefix}_pads"))
    graph.initializer.append(numpy_helper.from_array(wider, f"{prefix}_weight"))
    yield helper.make_node("Pad", [node.input[0], f"{prefix}_pads"], [f"{prefix}_input"])
    convolution = onnx.NodeProto()
    convolution.CopyFrom(node)
    convolution.input[0], convolution.input[1] = f"{prefix}_input", f"{prefix}_weight"
    yield convolution


_REWRITES: Mapping[str, Callable[[onnx.ModelProto], int]] = {
    "webgpu": pad_convolution_channels,
    "webnn": name_free_dimensions,
}


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    temporary.write_bytes(content)
    temporary.replace(path)
