"""The vision transformer (Dosovitskiy et al. 2020) with seeded weights."""

from __future__ import annotations

from onnx import TensorProto

from corun.resource_pool.models.graphs.builder import GraphBuilder
from corun.resource_pool.models.graphs.transformer import layer_norm, linear, pre_norm_block

_EPSILON = 1e-12


def vit_graph(
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    image: int = 224,
    patch: int = 16,
    classes: int = 1000,
    seed: int = 0,
) -> GraphBuilder:
    """pixel_values [batch, 3, image, image] to logits [batch, classes]. The defaults are vit-base-patch16-224."""
    builder = GraphBuilder("vit", seed=seed)
    pixels = builder.input("pixel_values", TensorProto.FLOAT, ["batch", 3, image, image])
    patches = (image // patch) ** 2
    kernel = builder.weight("patches.weight", width, 3, patch, patch)
    x = builder.node("Conv", pixels, kernel, builder.weight("patches.bias", width), strides=[patch, patch])
    x = builder.node("Reshape", x, builder.integers(0, width, patches))
    x = builder.node("Transpose", x, perm=[0, 2, 1])
    batch = builder.node("Shape", pixels, start=0, end=1)
    token_shape = builder.node("Concat", batch, builder.integers(1, width), axis=0)
    token = builder.node("Expand", builder.weight("class_token", 1, 1, width), token_shape)
    x = builder.node("Concat", token, x, axis=1)
    x = builder.node("Add", x, builder.weight("positions", 1, patches + 1, width))
    for layer in range(layers):
        x = pre_norm_block(builder, x, f"layer.{layer}", width=width, heads=heads, inner=4 * width, epsilon=_EPSILON)
    x = layer_norm(builder, x, "norm", width, epsilon=_EPSILON)
    first = builder.node("Gather", x, builder.constant("first", 0, "int64"), axis=1)
    builder.output(linear(builder, first, "classifier", width, classes), "logits", ["batch", classes])
    return builder
