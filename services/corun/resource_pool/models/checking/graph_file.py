"""One graph of a model: its file is read once, and what was read is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from corun.errors import CorunError
from corun.resource_pool.models.checking.contents import Unfit, check_contents, check_signature
from corun.resource_pool.models.regular_files import read_regular
from corun.resource_pool.models.signature import TensorSpec, read_inputs, read_outputs


@dataclass(frozen=True, slots=True)
class GraphFile:
    """The bytes of a file, the graph in them, and what that takes and gives."""

    content: bytes
    model: onnx.ModelProto
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def open_graph(path: Path, *, max_bytes: int) -> GraphFile:
    """The graph in a file, which holds to ONNX's rules and is whole.

    Raises:
        Unfit: no regular file, too large, not ONNX, data in other files, or a graph that breaks ONNX's rules.
        MemoryError: reading it takes more memory than there may be.
        OSError: it cannot be read.
    """
    try:
        content = read_regular(path, max_bytes=max_bytes)
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        if "alloc failed" in str(error):
            raise MemoryError from error
        raise Unfit(f"the file is not ONNX: {error}") from error
    except ValueError as error:
        raise Unfit(str(error)) from error
    with failures_as_unfit():
        check_contents(model, size_bytes=len(content))
        onnx.checker.check_model(content)
        inputs, outputs = read_inputs(model.graph), read_outputs(model.graph)
        check_signature(inputs, outputs)
    return GraphFile(content, model, inputs, outputs)


@contextmanager
def failures_as_unfit() -> Iterator[None]:
    """Makes Unfit of whatever looking at a graph raises, but for a lack of memory."""
    try:
        yield
    except (Unfit, MemoryError):
        raise
    except CorunError as error:
        raise Unfit(error.message) from error
    except Exception as error:  # onnx raises what it likes
        raise Unfit(f"the graph breaks ONNX's rules: {error}") from error
