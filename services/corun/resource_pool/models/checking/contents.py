"""What a graph may hold, beyond what ONNX's own checker looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import onnx

from corun.resource_pool.models.features import message_parts
from corun.resource_pool.models.shapes import KnownTensor
from corun.resource_pool.models.signature import TensorSpec

MAX_NODES = 100_000
MAX_VALUES = 1024
MAX_NAME_CHARACTERS = 512
MAX_RANK = 32
# A browser's WebAssembly memory ends there: what is larger can be computed on no platform.
MAX_TENSOR_BYTES = 2**32
# The smallest types are a quarter of a byte.
_MAX_ELEMENTS_PER_BYTE = 4


class Unfit(ValueError):
    """The graph is none for a browser, in words that name the part."""


def check_contents(model: onnx.ModelProto, *, size_bytes: int) -> None:
    """Returns when everything in the file is in the file, and nothing in it claims to be larger.

    Raises:
        Unfit: training graphs, weights in other files, tensors larger than the file, or too many nodes.
    """
    # training_info may hold graphs of its own; nothing here runs them, so they have no business in the file.
    if model.training_info:
        raise Unfit("the file holds training graphs; export it for inference")
    node_count = 0
    for part in message_parts(model):
        if isinstance(part, onnx.NodeProto):
            node_count += 1
            if node_count > MAX_NODES:
                raise Unfit(f"the graph has more than {MAX_NODES} nodes")
        elif isinstance(part, onnx.TensorProto):
            _check_tensor(part, size_bytes)
        elif isinstance(part, onnx.SparseTensorProto) and not _fits(part.dims, MAX_TENSOR_BYTES):
            raise Unfit(f"sparse tensor {part.values.name!r} of shape {list(part.dims)} is too large")


def check_signature(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Returns when inputs and outputs can be listed, printed and fed.

    Raises:
        Unfit: none or too many of them, too many dimensions, or a name that is too long or cannot be printed.
    """
    if not inputs or not outputs or len(inputs) + len(outputs) > MAX_VALUES:
        raise Unfit(
            f"the graph has {len(inputs)} inputs and {len(outputs)} outputs; "
            f"it takes one of each, and at most {MAX_VALUES} together"
        )
    for spec in (*inputs, *outputs):
        if len(spec.shape) > MAX_RANK:
            raise Unfit(f"{spec.name[:40]!r} has {len(spec.shape)} dimensions; at most {MAX_RANK} are supported")
        for name in (spec.name, *(size for size in spec.shape if isinstance(size, str))):
            if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
                raise Unfit(
                    f"the name {name[:40]!r} of an input, an output or a dimension is empty, has more than "
                    f"{MAX_NAME_CHARACTERS} characters, or some that cannot be printed"
                )


def check_sizes(shapes: Mapping[str, KnownTensor]) -> None:
    """Returns when a browser could hold each of the tensors.

    Raises:
        Unfit: naming the one that is too large.
    """
    for name, known in shapes.items():
        if known.size_bytes > MAX_TENSOR_BYTES:
            raise Unfit(
                f"tensor {name!r} of shape {list(known.shape)} takes {known.size_bytes:.3g} bytes; "
                f"a browser's memory ends at {MAX_TENSOR_BYTES}"
            )


def _check_tensor(tensor: onnx.TensorProto, size_bytes: int) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Unfit(f"tensor {tensor.name!r} keeps its data in another file; save the model as a single file")
    if not _fits(tensor.dims, size_bytes * _MAX_ELEMENTS_PER_BYTE):
        raise Unfit(
            f"tensor {tensor.name!r} claims the shape {list(tensor.dims)}, the whole file has {size_bytes} bytes"
        )


def _fits(dimensions: Sequence[int], most: int) -> bool:
    return len(dimensions) <= MAX_RANK and min(dimensions, default=0) >= 0 and math.prod(dimensions) <= most
