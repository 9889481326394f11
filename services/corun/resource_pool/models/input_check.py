"""Raw tensors held against the inputs of a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from corun.errors import InvalidField
from corun.resource_pool.models.manifest import WaveformInput
from corun.resource_pool.models.recipe import MAX_TOKENS, MIN_TOKENS, Seq2Seq
from corun.resource_pool.models.signature import FREE_DIMENSION, TensorSpec

Array = npt.NDArray[np.generic]


def check_inputs(tensors: Mapping[str, Array], inputs: tuple[TensorSpec, ...], id_limits: Mapping[str, int]) -> None:
    """Returns when `tensors` can be fed: all names, right types, fitting shapes, indices inside their tables.

    Raises:
        InvalidField: `tensors[i]` and below, i being the place of the tensor in `tensors`.
    """
    specs = {spec.name: spec for spec in inputs}
    missing = [name for name in specs if name not in tensors]
    if missing:
        raise InvalidField("tensors", f"missing: {', '.join(missing)}; the graph needs {', '.join(specs)}")
    named_sizes: dict[str, int] = {}
    for place, (name, tensor) in enumerate(tensors.items()):
        field = f"tensors[{place}]"
        if name not in specs:
            raise InvalidField(f"{field}.name", f"the graph has no input {name!r}; it has {', '.join(specs)}")
        spec = specs[name]
        if tensor.dtype != spec.dtype:
            raise InvalidField(f"{field}.data_type", f"input {name!r} takes {spec.data_type}; received {tensor.dtype}")
        _check_shape(f"{field}.shape", tensor.shape, spec, named_sizes)
        limit = id_limits.get(name, 0)
        if limit and tensor.size and not (tensor.min() >= -limit and tensor.max() < limit):
            raise InvalidField(f"{field}.content", f"ids of input {name!r} must be below {limit}")


def check_sequences(tensors: Mapping[str, Array], recipe: Seq2Seq, preprocessing: object) -> None:
    """Returns when `tensors`, which have passed `check_inputs`, ask an encoder and a decoder for what they can do.

    Raises:
        InvalidField: for more tokens than the decoder gives, a mask with holes, a recording too short or too long.
    """
    places = {name: f"tensors[{place}].content" for place, name in enumerate(tensors)}
    least, most = tensors[MIN_TOKENS].astype(np.int64), tensors[MAX_TOKENS].astype(np.int64)
    if most.min() < 1 or most.max() > recipe.max_tokens:
        raise InvalidField(places[MAX_TOKENS], f"1 to {recipe.max_tokens} tokens; received {most.tolist()}")
    if (least < 0).any() or (least > most).any():
        raise InvalidField(places[MIN_TOKENS], f"0 to {MAX_TOKENS} of the item; received {least.tolist()}")
    if not recipe.encoder_mask:
        return
    mask, field = tensors[recipe.encoder_mask], places[recipe.encoder_mask]
    lengths = mask.sum(axis=1)
    if not np.array_equal(mask, np.arange(mask.shape[1]) < lengths[:, None]) or lengths.min() < 1:
        raise InvalidField(field, "each item has ones where it has content, and zeros behind them only")
    if isinstance(preprocessing, WaveformInput):
        shortest, longest = (
            seconds * preprocessing.sample_rate for seconds in (preprocessing.min_seconds, preprocessing.max_seconds)
        )
        if lengths.min() < shortest or lengths.max() > longest:
            wanted = f"{shortest:.0f} to {longest:.0f} samples"
            raise InvalidField(field, f"an item has {wanted}; received {lengths.tolist()}")


def _check_shape(field: str, shape: tuple[int, ...], spec: TensorSpec, named_sizes: dict[str, int]) -> None:
    wanted = "[" + ", ".join(map(str, spec.shape)) + "]"
    if len(shape) != len(spec.shape):
        raise InvalidField(field, f"input {spec.name!r} has shape {wanted}; received {list(shape)}")
    for size, expected in zip(shape, spec.shape, strict=True):
        if size < 1:
            raise InvalidField(field, f"no dimension may be empty; received {list(shape)}")
        if isinstance(expected, int) and size != expected:
            raise InvalidField(field, f"input {spec.name!r} has shape {wanted}; received {list(shape)}")
        if isinstance(expected, str) and expected != FREE_DIMENSION:
            bound = named_sizes.setdefault(expected, size)
            if bound != size:
                raise InvalidField(field, f"{expected!r} is {bound} in another input; received {list(shape)}")
