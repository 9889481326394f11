"""The parts that BERT, ViT and Whisper share (Vaswani et al. 2017)."""

from __future__ import annotations

import math

import numpy as np

from corun.resource_pool.models.graphs.builder import GraphBuilder


def linear(builder: GraphBuilder, x: str, name: str, width_in: int, width_out: int, *, bias: bool = True) -> str:
    """`x` [..., width_in] times a weight, plus a bias."""
    product = builder.node("MatMul", x, builder.weight(f"{name}.weight", width_in, width_out))
    return builder.node("Add", product, builder.weight(f"{name}.bias", width_out)) if bias else product


def layer_norm(builder: GraphBuilder, x: str, name: str, width: int, *, epsilon: float) -> str:
    """Normalises the last axis, at gain 1 and offset 0 as before training."""
    gain = builder.constant(f"{name}.weight", np.ones(width))
    offset = builder.constant(f"{name}.bias", np.zeros(width))
    return builder.node("LayerNormalization", x, gain, offset, axis=-1, epsilon=epsilon)


def gelu(builder: GraphBuilder, x: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), the exact form."""
    error = builder.node("Erf", builder.node("Div", x, builder.constant("sqrt_2", math.sqrt(2))))
    half = builder.node("Mul", x, builder.constant("half", 0.5))
    return builder.node("Mul", half, builder.node("Add", error, builder.constant("one", 1.0)))


def attention(
    builder: GraphBuilder,
    x: str,
    name: str,
    width: int,
    heads: int,
    *,
    memory: str | None = None,
    mask: str | None = None,
    key_bias: bool = True,
) -> str:
    """Multi-head attention of `x` [batch, queries, width] to `memory` [batch, keys, width], or to itself.

    `mask` is added to the scores [batch, heads, queries, keys].
    """
    source = memory or x
    query = _split_heads(builder, linear(builder, x, f"{name}.query", width, width), width, heads)
    key = linear(builder, source, f"{name}.key", width, width, bias=key_bias)
    key = _split_heads(builder, key, width, heads, order=[0, 2, 3, 1])
    value = _split_heads(builder, linear(builder, source, f"{name}.value", width, width), width, heads)
    scores = builder.node("MatMul", query, key)
    scores = builder.node("Mul", scores, builder.constant(f"scale_{width // heads}", (width // heads) ** -0.5))
    if mask is not None:
        scores = builder.node("Add", scores, mask)
    mixed = builder.node("MatMul", builder.node("Softmax", scores, axis=-1), value)
    joined = builder.node("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = builder.node("Reshape", joined, builder.integers(0, 0, width))
    return linear(builder, joined, f"{name}.output", width, width)


def feed_forward(builder: GraphBuilder, x: str, name: str, width: int, inner: int) -> str:
    """Two linear layers with a GELU between them."""
    hidden = gelu(builder, linear(builder, x, f"{name}.up", width, inner))
    return linear(builder, hidden, f"{name}.down", inner, width)


def pre_norm_block(
    builder: GraphBuilder,
    x: str,
    name: str,
    *,
    width: int,
    heads: int,
    inner: int,
    epsilon: float,
    memory: str | None = None,
    mask: str | None = None,
    key_bias: bool = True,
) -> str:
    """A layer of ViT or Whisper: normalise, attend, add; with `memory` attend to it as well; normalise, feed, add."""

    def attend(x: str, part: str, *, memory: str | None = None, mask: str | None = None) -> str:
        normal = layer_norm(builder, x, f"{name}.{part}_norm", width, epsilon=epsilon)
        mixed = attention(builder, normal, f"{name}.{part}", width, heads, memory=memory, mask=mask, key_bias=key_bias)
        return builder.node("Add", x, mixed)

    x = attend(x, "attention", mask=mask)
    if memory is not None:
        x = attend(x, "cross_attention", memory=memory)
    normal = layer_norm(builder, x, f"{name}.feed_forward_norm", width, epsilon=epsilon)
    return builder.node("Add", x, feed_forward(builder, normal, f"{name}.feed_forward", width, inner))


def _split_heads(builder: GraphBuilder, x: str, width: int, heads: int, *, order: list[int] | None = None) -> str:
    split = builder.node("Reshape", x, builder.integers(0, 0, heads, width // heads))
    return builder.node("Transpose", split, perm=order or [0, 2, 1, 3])
