"""Synthetic inputs of realistic sizes: what plans and profiles run a model on."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from corun.errors import InvalidField
from corun.resource_pool.models.manifest import FramesInput, ImageInput, LogMelInput, Manifest, TextInput, WaveformInput
from corun.resource_pool.models.signature import FREE_DIMENSION, TensorSpec

Array = npt.NDArray[np.generic]

SEQUENCE_LENGTH = 128
DECODER_LENGTH = 4
IMAGE_SIDE = 224
_SEED = 20_251
# A browser's WebAssembly memory ends at 4 GB, and inputs are the smallest part of a run.
MAX_INPUT_BYTES = 256_000_000


def has_dynamic_batch(inputs: tuple[TensorSpec, ...]) -> bool:
    """True where the first dimension of the first input is free: that is where items are stacked."""
    return bool(inputs) and bool(inputs[0].shape) and isinstance(inputs[0].shape[0], str)


def sample_shapes(inputs: tuple[TensorSpec, ...], manifest: Manifest, batch_size: int) -> dict[str, tuple[int, ...]]:
    """A full shape for every input.

    Raises:
        InvalidField: where the graph's batch is fixed and is not `batch_size`.
    """
    first = inputs[0].shape[0] if inputs[0].shape else 1
    if isinstance(first, int) and batch_size != first and not isinstance(manifest.preprocessing, FramesInput):
        raise InvalidField("batch_size", f"the graph's batch is fixed at {first}; received {batch_size}")
    leading = batch_size
    if isinstance(manifest.preprocessing, FramesInput):
        leading = math.ceil(batch_size * manifest.preprocessing.sample_rate / manifest.preprocessing.frame)
    batch_name = first if isinstance(first, str) else ""
    return {
        spec.name: tuple(
            _size(spec, axis, manifest, leading=leading, batch_name=batch_name) for axis in range(len(spec.shape))
        )
        for spec in inputs
    }


def sample_inputs(
    inputs: tuple[TensorSpec, ...], manifest: Manifest, id_limits: Mapping[str, int], batch_size: int
) -> dict[str, Array]:
    """The same arrays every time: ids inside the vocabulary, full masks, normal noise, states at zero."""
    states = inputs[1:] if isinstance(manifest.preprocessing, FramesInput) else ()
    shapes = sample_shapes(inputs, manifest, batch_size)
    size = sum(math.prod(shapes[spec.name]) * spec.dtype.itemsize for spec in inputs)
    if size > MAX_INPUT_BYTES:
        most = max(1, int(batch_size * MAX_INPUT_BYTES / size))
        raise InvalidField(
            "batch_size", f"{batch_size} items are {size / 1e6:,.0f} MB of input; for this model at most {most}"
        )
    rng = np.random.default_rng(_SEED)
    return {
        spec.name: np.zeros(shapes[spec.name], dtype=spec.dtype)
        if spec in states
        else _values(spec, shapes[spec.name], id_limits.get(spec.name, 0), rng)
        for spec in inputs
    }


def _size(spec: TensorSpec, axis: int, manifest: Manifest, *, leading: int, batch_name: str) -> int:
    size = spec.shape[axis]
    if isinstance(size, int):
        return size
    if size == batch_name and size != FREE_DIMENSION:
        return leading
    if size in manifest.sample_sizes:
        return manifest.sample_sizes[size]
    if axis == 0:
        return leading
    return _free_size(spec, axis, manifest)


def _free_size(spec: TensorSpec, axis: int, manifest: Manifest) -> int:
    rank = len(spec.shape)
    match manifest.preprocessing:
        case ImageInput(size=size) if rank == 4 and axis >= 2:
            return size[axis - 2]
        case LogMelInput(mels=mels, seconds=seconds) if rank == 3:
            return mels if axis == 1 else seconds * 100
        case WaveformInput(sample_rate=rate, sample_seconds=seconds):
            return round(rate * seconds)
        case TextInput(max_length=max_length):
            return min(SEQUENCE_LENGTH, max_length)
    if rank == 4 and spec.dtype.kind == "f":
        return 3 if axis == 1 else IMAGE_SIDE
    return DECODER_LENGTH if "decoder" in spec.name else SEQUENCE_LENGTH


def _values(spec: TensorSpec, shape: tuple[int, ...], id_limit: int, rng: np.random.Generator) -> Array:
    if spec.dtype.kind == "f":
        return rng.standard_normal(shape).astype(spec.dtype)
    if "mask" in spec.name or spec.dtype.kind == "b":
        return np.ones(shape, dtype=spec.dtype)
    if "position" in spec.name:
        return np.broadcast_to(np.arange(shape[-1], dtype=spec.dtype), shape).copy()
    if "type" in spec.name or id_limit <= 0:
        return np.zeros(shape, dtype=spec.dtype)
    return rng.integers(0, id_limit, shape).astype(spec.dtype)
