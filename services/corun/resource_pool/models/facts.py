"""What a model file was found to be."""

from __future__ import annotations

from dataclasses import dataclass

from corun.resource_pool.models.features import GraphFeatures
from corun.resource_pool.models.signature import TensorSpec

MODEL_FILE = "model.onnx"
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
