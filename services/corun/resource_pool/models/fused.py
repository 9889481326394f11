"""Results of operators outside the standard that runtimes fuse from standard ones.

Their definitions are in onnxruntime's documentation (ContribOperators); a graph that a runtime saved holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

# Of integers, with the scales applied: these give floats.
_DEQUANTISING = frozenset(("DynamicQuantizeMatMul", "MatMulIntegerToFloat"))
_PRODUCTS = _DEQUANTISING | {"FusedMatMul"}
_ACTIVATED_CONVOLUTION = "FusedConv"


def fused_product(node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto]) -> onnx.TypeProto | None:
    """The type of a fused product's result; None for any other operator, or where the factors do not fit."""
    if node.op_type not in _PRODUCTS or not all(name in types for name in node.input[:2]):
        return None
    attributes = {each.name: each.i for each in node.attribute}
    left = _factor(types[node.input[0]], transposed=bool(attributes.get("transA")))
    right = _factor(types[node.input[1]], transposed=bool(attributes.get("transB")))
    if min(len(left), len(right)) < 2:
        return None
    try:
        outer = np.broadcast_shapes(tuple(left[:-2]), tuple(right[:-2]))
    except ValueError:
        return None
    kind = TensorProto.FLOAT if node.op_type in _DEQUANTISING else types[node.input[0]].tensor_type.elem_type
    return helper.make_tensor_type_proto(kind, [*outer, left[-2], right[-1]])


def standard_form(node: onnx.NodeProto) -> onnx.NodeProto:
    """A fused convolution without its activation, which keeps the shape; any other node as it is."""
    if node.op_type != _ACTIVATED_CONVOLUTION:
        return node
    plain = onnx.NodeProto(op_type="Conv", input=node.input[:3], output=node.output)
    plain.attribute.extend(each for each in node.attribute if not each.name.startswith("activation"))
    return plain


def _factor(kind: onnx.TypeProto, *, transposed: bool) -> Sequence[int]:
    sizes = [each.dim_value for each in kind.tensor_type.shape.dim]
    return [*sizes[:-2], sizes[-1], sizes[-2]] if transposed and len(sizes) > 1 else sizes
