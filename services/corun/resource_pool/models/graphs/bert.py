"""BERT's encoder (Devlin et al. 2018) with seeded weights."""

from __future__ import annotations

from onnx import TensorProto

from corun.resource_pool.models.graphs.builder import GraphBuilder
from corun.resource_pool.models.graphs.transformer import attention, feed_forward, layer_norm

BERT_VOCABULARY = 30_522
_EPSILON = 1e-12


def bert_graph(
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    vocabulary: int = BERT_VOCABULARY,
    positions: int = 512,
    seed: int = 0,
) -> GraphBuilder:
    """input_ids, attention_mask, token_type_ids [batch, sequence] to last_hidden_state [batch, sequence, width].

    The defaults are those of bert-base-uncased without its pooler.
    """
    builder = GraphBuilder("bert", seed=seed)
    ids, mask, types = (
        builder.input(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    )
    length = builder.node("Shape", ids, start=1, end=2)
    table = builder.weight("positions", positions, width)
    rows = builder.node("Slice", table, builder.integers(0), length, builder.integers(0))
    x = builder.node("Gather", builder.weight("words", vocabulary, width), ids)
    x = builder.node("Add", x, builder.node("Gather", builder.weight("types", 2, width), types))
    x = layer_norm(builder, builder.node("Add", x, rows), "embedding_norm", width, epsilon=_EPSILON)
    hidden = _mask_scores(builder, mask)
    for layer in range(layers):
        mixed = attention(builder, x, f"layer.{layer}.attention", width, heads, mask=hidden)
        x = layer_norm(builder, builder.node("Add", x, mixed), f"layer.{layer}.norm_1", width, epsilon=_EPSILON)
        fed = feed_forward(builder, x, f"layer.{layer}.feed_forward", width, 4 * width)
        x = layer_norm(builder, builder.node("Add", x, fed), f"layer.{layer}.norm_2", width, epsilon=_EPSILON)
    builder.output(x, "last_hidden_state", ["batch", "sequence", width])
    return builder


def _mask_scores(builder: GraphBuilder, mask: str) -> str:
    wide = builder.node("Unsqueeze", builder.node("Cast", mask, to=TensorProto.FLOAT), builder.integers(1, 2))
    absent = builder.node("Sub", builder.constant("one", 1.0), wide)
    return builder.node("Mul", absent, builder.constant("hidden_score", -10_000.0))
