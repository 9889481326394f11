"""What a model was found to be."""

from __future__ import annotations

from dataclasses import dataclass

from corun.resource_pool.models.features import GraphFeatures
from corun.resource_pool.models.recipe import CacheTensor
from corun.resource_pool.models.signature import TensorSpec

# A protobuf message ends at 2^31 bytes; a browser's WebAssembly memory at twice that, weights copied once.
MAX_MODEL_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model of one file, or of parts, was found to be.

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
