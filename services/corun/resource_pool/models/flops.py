"""Floating point operations of one node, from the shapes around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx

from corun.resource_pool.models.shapes import KnownTensor

# These rearrange or rename elements and compute nothing.
# fmt: off
_MOVES = frozenset((
    "Constant", "ConstantOfShape", "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity",
    "Transpose", "Slice", "Split", "Concat", "Gather", "GatherND", "GatherElements", "Expand", "Tile",
    "Pad", "Cast", "CastLike", "Range", "Where", "DepthToSpace", "SpaceToDepth", "Dropout",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class _Surroundings:
    inputs: list[KnownTensor | None]
    result: KnownTensor | None
    attributes: dict[str, int]
    rows: int

    def input(self, index: int) -> KnownTensor | None:
        return self.inputs[index] if index < len(self.inputs) else None


def node_flops(node: onnx.NodeProto, shapes: Mapping[str, KnownTensor], rows: int) -> float:
    """A multiply and an add are two; any other computed element is one; moving elements costs nothing.

    `rows` stands in for the outer size of a product whose shape is unknown.
    """
    around = _Surroundings(
        [shapes.get(name) for name in node.input],
        shapes.get(node.output[0]) if node.output else None,
        {each.name: each.i for each in node.attribute},
        rows,
    )
    counter = _COUNTERS.get(node.op_type)
    if counter is not None:
        return counter(around)
    if node.op_type in _MOVES or around.result is None:
        return 0.0
    return float(around.result.elements)


def _product(around: _Surroundings, *, right: int = 1) -> float:
    left, weight = around.input(0), around.input(right)
    if around.result is not None and left is not None and left.shape:
        return 2.0 * around.result.elements * left.shape[-1]
    return 2.0 * around.rows * weight.elements if weight is not None else 0.0


def _packed_product(around: _Surroundings) -> float:
    left, inner, outer = around.input(0), around.attributes.get("K", 1), around.attributes.get("N", 1)
    return 2.0 * (left.elements if left else around.rows * inner) * outer


def _gemm(around: _Surroundings) -> float:
    left, weight = around.input(0), around.input(1)
    if left is not None and around.result is not None:
        return 2.0 * around.result.elements * left.shape[0 if around.attributes.get("transA") else 1]
    return 2.0 * around.rows * weight.elements if weight is not None else 0.0


def _convolution(around: _Surroundings, *, kernel: int = 1) -> float:
    weight = around.input(kernel)
    if weight is None or around.result is None:
        return 0.0
    return 2.0 * around.result.elements * math.prod(weight.shape[1:])


def _transposed_convolution(around: _Surroundings) -> float:
    source, weight = around.input(0), around.input(1)
    return 2.0 * source.elements * math.prod(weight.shape[1:]) if source and weight else 0.0


def _recurrence(around: _Surroundings) -> float:
    source = around.input(0)
    steps = math.prod(source.shape[:2]) if source else around.rows
    return 2.0 * steps * sum(each.elements for each in around.inputs[1:3] if each)


def _fused_attention(around: _Surroundings) -> float:
    first, second = around.input(0), around.input(1)
    if first is None or len(first.shape) < 3:
        return 0.0
    tokens, width = math.prod(first.shape[:-1]), first.shape[-1]
    projected = 2.0 * tokens * second.elements if second and len(second.shape) == 2 else 0.0
    attended = second.shape[-2] if second and len(second.shape) > 2 else first.shape[-2]
    return projected + 4.0 * tokens * attended * width


_COUNTERS: dict[str, Callable[[_Surroundings], float]] = {
    "MatMul": _product,
    "MatMulInteger": _product,
    "FusedMatMul": _product,
    "MatMulIntegerToFloat": _product,
    "DynamicQuantizeMatMul": _product,
    "QLinearMatMul": lambda around: _product(around, right=3),
    "MatMulNBits": _packed_product,
    "Gemm": _gemm,
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "FusedConv": _convolution,
    "QLinearConv": lambda around: _convolution(around, kernel=3),
    "ConvTranspose": _transposed_convolution,
    "LSTM": _recurrence,
    "GRU": _recurrence,
    "RNN": _recurrence,
    "Attention": _fused_attention,
    "QAttention": _fused_attention,
    "MultiHeadAttention": _fused_attention,
}
