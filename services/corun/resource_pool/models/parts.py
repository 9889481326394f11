"""Checks the encoder and the decoder of a model in two parts, and reads them off together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnx

from corun.errors import ModelRefused
from corun.resource_pool.models.branches import take_branch
from corun.resource_pool.models.features import GraphFeatures, read_features
from corun.resource_pool.models.inspection import (
    MAX_MODEL_BYTES,
    Facts,
    file_digest,
    id_limits,
    open_graph,
    refusing_broken_graphs,
)
from corun.resource_pool.models.manifest import MANIFEST_FILE, Manifest
from corun.resource_pool.models.recipe import TOKENS_OUTPUT, CacheTensor, Seq2Seq, find_cache
from corun.resource_pool.models.samples import SEQUENCE_LENGTH, sample_shapes
from corun.resource_pool.models.shapes import KnownTensor, known_shapes
from corun.resource_pool.models.signature import TensorSpec, read_inputs, read_outputs

Shape = tuple[int, ...]


def inspect_parts(paths: Sequence[Path], *, name: str, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> Facts:
    """Facts of `paths`, encoder and decoder, as one model: digest and sizes are of both, the inputs are the
    encoder's, the output is tokens, and the features are those of a sample run.

    Raises:
        ModelRefused: for what `inspect_model_file` refuses in either, or a recipe that does not fit them.
    """
    recipe = manifest.seq2seq
    if recipe is None:
        raise ModelRefused(name, f"{MANIFEST_FILE} needs a table [seq2seq] that says how its two graphs work together")
    encoder, decoder = (open_graph(path, name=name, max_bytes=max_bytes) for path in paths)
    with refusing_broken_graphs(name):
        inputs = read_inputs(encoder.graph)
        fed = read_inputs(decoder.graph)
        signatures = ((inputs, read_outputs(encoder.graph)), (fed, read_outputs(decoder.graph)))
        try:
            cache = find_cache(recipe, *signatures)
        except ValueError as error:
            raise ModelRefused(name, f"{MANIFEST_FILE}, seq2seq: {error}") from error
        sample = sample_shapes(inputs, manifest, 1)
        shapes = known_shapes(encoder, sample)
        features = _run_features(
            read_features(encoder, shapes, batch_size=1, dynamic_batch=True),
            decoder,
            recipe,
            cache,
            states=_states(shapes.get(recipe.encoder_output), fed, recipe),
            mask=sample.get(recipe.encoder_mask, ()),
        )
    digests = tuple(file_digest(path) for path in paths)
    return Facts(
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
        size_bytes=sum(path.stat().st_size for path in paths),
        inputs=inputs,
        outputs=(TensorSpec(TOKENS_OUTPUT, "int64", (inputs[0].shape[0], "tokens")),),
        features=features,
        id_limits=id_limits(encoder, shapes),
        file_digests=digests,
        cache=cache,
    )


def _run_features(
    encoder: GraphFeatures,
    decoder: onnx.ModelProto,
    recipe: Seq2Seq,
    cache: tuple[CacheTensor, ...],
    *,
    states: Shape,
    mask: Shape,
) -> GraphFeatures:
    """Operations are summed over a sample run, in which one step halfway stands for all but the first; weights
    are those of both graphs; a step's intermediate results live beside the encoder's."""
    halfway = len(recipe.start) + recipe.sample_tokens // 2
    others = recipe.sample_tokens - 1

    def step(*, tokens: int, past: int) -> GraphFeatures:
        graph = take_branch(decoder, recipe.switch, past > 0) if recipe.switch else decoder
        shapes = {recipe.decoder_tokens: (1, tokens), recipe.decoder_states: states, recipe.decoder_mask: mask}
        shapes |= {each.past: _cache_shape(each, past, states) for each in cache}
        return read_features(graph, known_shapes(graph, shapes), batch_size=1, dynamic_batch=True)

    first = step(tokens=len(recipe.start), past=0)
    later = step(tokens=1, past=halfway) if cache else step(tokens=halfway, past=0)
    return GraphFeatures(
        flops_per_item=encoder.flops_per_item + first.flops_per_item + others * later.flops_per_item,
        weight_bytes=encoder.weight_bytes + first.weight_bytes,
        activation_bytes_per_item=encoder.activation_bytes_per_item + later.activation_bytes_per_item,
        operator_count=encoder.operator_count + first.operator_count + others * later.operator_count,
        dynamic_batch=True,
    )


def _cache_shape(tensor: CacheTensor, past: int, states: Shape) -> Shape:
    length = states[1] if tensor.kept and past else past
    return tuple(size or length for size in tensor.shape)


def _states(known: KnownTensor | None, fed: tuple[TensorSpec, ...], recipe: Seq2Seq) -> Shape:
    if known is not None and len(known.shape) == 3:
        return known.shape
    width = next(spec for spec in fed if spec.name == recipe.decoder_states).shape[-1]
    return (1, SEQUENCE_LENGTH, width if isinstance(width, int) else 1)
