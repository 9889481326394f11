"""Whisper (Radford et al. 2022), encoder and one pass of the decoder in one graph, with seeded weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from corun.resource_pool.models.graphs.builder import GraphBuilder
from corun.resource_pool.models.graphs.transformer import gelu, layer_norm, pre_norm_block

WHISPER_VOCABULARY = 51_865
_EPSILON = 1e-5


def whisper_graph(
    *,
    layers: int = 4,
    width: int = 384,
    heads: int = 6,
    mels: int = 80,
    frames: int = 3000,
    vocabulary: int = WHISPER_VOCABULARY,
    positions: int = 448,
    seed: int = 0,
) -> GraphBuilder:
    """input_features [batch, mels, frames] and decoder_input_ids [batch, decoder_sequence] to logits
    [batch, decoder_sequence, vocabulary] and encoder_last_hidden_state [batch, frames / 2, width].

    The defaults are whisper-tiny. The decoder's output matrix is its embedding, as in the original.
    """
    builder = GraphBuilder("whisper", seed=seed)
    features = builder.input("input_features", TensorProto.FLOAT, ["batch", mels, frames])
    ids = builder.input("decoder_input_ids", TensorProto.INT64, ["batch", "decoder_sequence"])
    x = features
    for number, (channels, stride) in enumerate([(mels, 1), (width, 2)], start=1):
        kernel, bias = (
            builder.weight(f"conv{number}.weight", width, channels, 3),
            builder.weight(f"conv{number}.bias", width),
        )
        x = gelu(builder, builder.node("Conv", x, kernel, bias, strides=[stride], pads=[1, 1]))
    x = builder.node("Transpose", x, perm=[0, 2, 1])
    x = builder.node("Add", x, builder.constant("encoder.positions", _sinusoids(frames // 2, width)))
    block = {"width": width, "heads": heads, "inner": 4 * width, "epsilon": _EPSILON, "key_bias": False}
    for layer in range(layers):
        x = pre_norm_block(builder, x, f"encoder.{layer}", **block)  # type: ignore[arg-type]  # mixed values
    encoded = layer_norm(builder, x, "encoder.norm", width, epsilon=_EPSILON)
    length = builder.node("Shape", ids, start=1, end=2)
    words = builder.weight("decoder.words", vocabulary, width)
    x = builder.node("Gather", words, ids)
    table = builder.weight("decoder.positions", positions, width)
    x = builder.node("Add", x, builder.node("Slice", table, builder.integers(0), length, builder.integers(0)))
    mask = _causal_mask(builder, length, positions)
    for layer in range(layers):
        x = pre_norm_block(builder, x, f"decoder.{layer}", memory=encoded, mask=mask, **block)  # type: ignore[arg-type]  # mixed values
    x = layer_norm(builder, x, "decoder.norm", width, epsilon=_EPSILON)
    builder.output(
        _tied_logits(builder, x, words, width, vocabulary), "logits", ["batch", "decoder_sequence", vocabulary]
    )
    builder.output(encoded, "encoder_last_hidden_state", ["batch", frames // 2, width])
    return builder


def _causal_mask(builder: GraphBuilder, length: str, positions: int) -> str:
    table = builder.constant("decoder.causal_mask", np.triu(np.full((positions, positions), -10_000.0), 1))
    ends = builder.node("Concat", length, length, axis=0)
    return builder.node("Slice", table, builder.integers(0, 0), ends, builder.integers(0, 1))


def _tied_logits(builder: GraphBuilder, x: str, words: str, width: int, vocabulary: int) -> str:
    # Gemm takes the embedding as it lies; a Transpose would be folded into a second copy of 80 MB at load.
    rows = builder.node("Reshape", x, builder.integers(-1, width))
    logits = builder.node("Gemm", rows, words, transB=1)
    outer = builder.node("Shape", x, start=0, end=2)
    return builder.node("Reshape", logits, builder.node("Concat", outer, builder.integers(vocabulary), axis=0))


def _sinusoids(length: int, width: int) -> npt.NDArray[np.float32]:
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * rates
    # Rounded to steps that float32 holds exactly: sines differ in the last bit between C libraries.
    steps = np.round(np.concatenate([np.sin(angles), np.cos(angles)], axis=1) * 2**20) / 2**20
    return np.asarray(steps, dtype=np.float32)
