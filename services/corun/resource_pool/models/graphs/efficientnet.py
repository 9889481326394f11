"""EfficientNet-Lite0 as a graph, from the weights of its PyTorch port; batch normalisation folded into convolutions.

Architecture: the EfficientNet of Tan and Le 2019 without squeeze-and-excitation and with ReLU6, as published
under the name EfficientNet-Lite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from corun.resource_pool.models.graphs.builder import GraphBuilder

Array = npt.NDArray[np.generic]
Weights = Mapping[str, Array]

_EPSILON = 1e-3
_IMAGE = 224


@dataclass(frozen=True, slots=True)
class _Group:
    repeats: int
    kernel: int
    stride: int
    expands: bool


_GROUPS = (
    _Group(1, 3, 1, expands=False),
    _Group(2, 3, 2, expands=True),
    _Group(2, 5, 2, expands=True),
    _Group(3, 3, 2, expands=True),
    _Group(3, 5, 1, expands=True),
    _Group(4, 5, 2, expands=True),
    _Group(1, 3, 1, expands=True),
)


def efficientnet_lite0_graph(weights: Weights) -> GraphBuilder:
    """pixel_values [batch, 3, 224, 224] to logits [batch, 1000].

    Raises:
        KeyError: where a weight is missing.
    """
    builder = GraphBuilder("efficientnet_lite0")
    x = builder.input("pixel_values", TensorProto.FLOAT, ["batch", 3, _IMAGE, _IMAGE])
    convolve = _Convolutions(builder, weights)
    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    number = 0
    for group in _GROUPS:
        for repeat in range(group.repeats):
            x = _block(builder, convolve, x, f"_blocks.{number}.", group, first=repeat == 0)
            number += 1
    x = convolve(x, "_conv_head", "_bn1")
    x = builder.node("Flatten", builder.node("GlobalAveragePool", x), axis=1)
    kernel, bias = (
        builder.constant("fc.weight", weights["_fc.weight"]),
        builder.constant("fc.bias", weights["_fc.bias"]),
    )
    builder.output(builder.node("Gemm", x, kernel, bias, transB=1), "logits", ["batch", len(weights["_fc.bias"])])
    return builder


def _block(builder: GraphBuilder, convolve: _Convolutions, x: str, name: str, group: _Group, *, first: bool) -> str:
    # Only the first block of a group changes resolution and width; the others are residual.
    inside = convolve(x, f"{name}_expand_conv", f"{name}_bn0") if group.expands else x
    inside = convolve(inside, f"{name}_depthwise_conv", f"{name}_bn1", stride=group.stride if first else 1)
    inside = convolve(inside, f"{name}_project_conv", f"{name}_bn2", activation=False)
    return inside if first else builder.node("Add", inside, x)


class _Convolutions:
    """Adds convolutions with the padding of TensorFlow's SAME, which depends on the size of the picture."""

    def __init__(self, builder: GraphBuilder, weights: Weights) -> None:
        self._builder = builder
        self._weights = weights
        self._size = _IMAGE

    def __call__(self, x: str, name: str, norm: str, *, stride: int = 1, activation: bool = True) -> str:
        kernel, bias = _fold(self._weights, name, norm)
        side = kernel.shape[-1]
        missing = max(0, (-(-self._size // stride) - 1) * stride + side - self._size)
        before, after = missing // 2, missing - missing // 2
        self._size = -(-self._size // stride)
        depthwise = kernel.shape[1] == 1
        folded = self._builder.node(
            "Conv",
            x,
            self._builder.constant(f"{name}.weight", kernel),
            self._builder.constant(f"{name}.bias", bias),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=kernel.shape[0] if depthwise else 1,
        )
        if not activation:
            return folded
        bounds: Sequence[str] = (self._builder.constant("zero", 0.0), self._builder.constant("six", 6.0))
        return self._builder.node("Clip", folded, *bounds)


def _fold(weights: Weights, name: str, norm: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    gain, offset, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gain / np.sqrt(variance + _EPSILON)
    kernel = weights[f"{name}.weight"].astype(np.float64) * factor[:, None, None, None]
    return kernel.astype(np.float32), (offset - mean * factor).astype(np.float32)
