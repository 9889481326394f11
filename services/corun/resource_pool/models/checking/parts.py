"""Reads the encoder and the decoder of a model in two parts off together."""

from __future__ import annotations

import hashlib

import onnx

from corun.resource_pool.models.branches import take_branch
from corun.resource_pool.models.checking.contents import Unfit, check_sizes
from corun.resource_pool.models.checking.graph_file import GraphFile
from corun.resource_pool.models.checking.id_limits import read_id_limits
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.features import GraphFeatures, read_features
from corun.resource_pool.models.manifest import MANIFEST_FILE, Manifest
from corun.resource_pool.models.recipe import TOKENS_OUTPUT, CacheTensor, Seq2Seq, find_cache
from corun.resource_pool.models.samples import SEQUENCE_LENGTH, sample_shapes
from corun.resource_pool.models.shapes import KnownTensor, known_shapes
from corun.resource_pool.models.signature import TensorSpec

Shape = tuple[int, ...]


def describe_parts(encoder: GraphFile, decoder: GraphFile, recipe: Seq2Seq, manifest: Manifest) -> Facts:
    """Facts of both as one model: digest and size are of both, the inputs are the encoder's, the output is tokens,
    and the features are those of a sample run.

    Raises:
        Unfit: a recipe that does not fit the graphs, or sizes that no browser holds.
    """
    inputs = encoder.inputs
    if not inputs[0].shape:
        raise Unfit(f"encoder input {inputs[0].name!r} is a scalar; its first dimension has to be the batch")
    cache = _cache(recipe, encoder, decoder)
    sample = sample_shapes(inputs, manifest, 1)
    shapes = known_shapes(encoder.model, sample)
    check_sizes(shapes)
    features = _run_features(
        read_features(encoder.model, shapes, batch_size=1, dynamic_batch=True),
        decoder.model,
        recipe,
        cache,
        states=_states(shapes.get(recipe.encoder_output), decoder.inputs, recipe),
        mask=sample.get(recipe.encoder_mask, ()),
    )
    contents = (encoder.content, decoder.content)
    digests = tuple(hashlib.sha256(each).hexdigest() for each in contents)
    return Facts(
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
        size_bytes=sum(map(len, contents)),
        inputs=inputs,
        outputs=(TensorSpec(TOKENS_OUTPUT, "int64", (inputs[0].shape[0], "tokens")),),
        features=features,
        id_limits=read_id_limits(encoder.model, shapes),
        file_digests=digests,
        cache=cache,
    )


def _cache(recipe: Seq2Seq, encoder: GraphFile, decoder: GraphFile) -> tuple[CacheTensor, ...]:
    try:
        return find_cache(recipe, (encoder.inputs, encoder.outputs), (decoder.inputs, decoder.outputs))
    except ValueError as error:
        raise Unfit(f"{MANIFEST_FILE}, seq2seq: {error}") from error


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
        known = known_shapes(graph, shapes)
        check_sizes(known)
        return read_features(graph, known, batch_size=1, dynamic_batch=True)

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
