"""Shapes of every tensor in a graph, for given shapes of its inputs.

onnx infers shapes node by node but gives up where a shape is computed by the graph itself (Shape, Gather,
Concat, Reshape), as exporters like to do. Here such small tensors are evaluated on the way, so that the
nodes behind them are known as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from corun.resource_pool.models.fused import fused_product, standard_form

Array = npt.NDArray[np.generic]

_MAX_EVALUATED_ELEMENTS = 4096
# fmt: off
_EVALUATED = frozenset((
    "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Floor", "Ceil",
    "Max", "Min", "Sqrt", "Cast", "Identity", "Gather", "GatherND", "Slice", "Concat", "Squeeze",
    "Unsqueeze", "Reshape", "Transpose", "Expand", "Range", "ConstantOfShape", "Where", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "ReduceProd", "ReduceMax", "ReduceSum",
    "NonZero",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class KnownTensor:
    """Shape and size of a tensor whose shape is known."""

    shape: tuple[int, ...]
    item_bytes: int

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return self.elements * self.item_bytes


def known_shapes(model: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]]) -> dict[str, KnownTensor]:
    """Every tensor of the main graph whose shape follows from `input_shapes`; the others are left out."""
    walk = _Walk(model, input_shapes)
    for node in model.graph.node:
        walk.visit(node)
    return {name: known for name, kind in walk.types.items() if (known := _known(kind)) is not None}


def constant_tensors(model: onnx.ModelProto) -> set[str]:
    """Tensors of the main graph that depend on no input: runtimes compute them once, when they load the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        # Without inputs only a constant is the same every time; random numbers are not.
        if node.op_type == "Constant" or (node.input and all(not name or name in constants for name in node.input)):
            constants.update(name for name in node.output if name)
    return constants


class _Walk:
    def __init__(self, model: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]]) -> None:
        self._opsets = list(model.opset_import)
        self._versions = {each.domain or "ai.onnx": each.version for each in model.opset_import}
        self._ir_version = model.ir_version
        self.types: dict[str, onnx.TypeProto] = {}
        self._values: dict[str, Array] = {}
        for tensor in model.graph.initializer:
            self._remember(tensor.name, tensor)
        for value in model.graph.input:
            kind = value.type.tensor_type.elem_type
            if value.name in input_shapes:
                self.types[value.name] = helper.make_tensor_type_proto(kind, list(input_shapes[value.name]))

    def visit(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant":
            self._remember_constant(node)
            return
        if node.op_type == "Shape" and (source := self._shape_of(node.input[0])) is not None:
            attributes = {each.name: each.i for each in node.attribute}
            part = source[attributes.get("start", 0) : attributes.get("end", len(source))]
            self._set_value(node.output[0], np.array(part, dtype=np.int64))
            return
        self._infer(node)
        if node.op_type in _EVALUATED and all(not name or name in self._values for name in node.input):
            self._evaluate(node)

    def _remember(self, name: str, tensor: onnx.TensorProto) -> None:
        self.types[name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        if math.prod(tensor.dims) <= _MAX_EVALUATED_ELEMENTS:
            self._values[name] = numpy_helper.to_array(tensor)

    def _remember_constant(self, node: onnx.NodeProto) -> None:
        attribute = node.attribute[0]
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            self._remember(node.output[0], value)
        elif attribute.name in ("value_int", "value_ints"):
            self._set_value(node.output[0], np.array(value, dtype=np.int64))
        elif attribute.name in ("value_float", "value_floats"):
            self._set_value(node.output[0], np.array(value, dtype=np.float32))

    def _set_value(self, name: str, value: Array) -> None:
        self._values[name] = value
        self.types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        known = _known(self.types[name]) if name in self.types else None
        return known.shape if known else None

    def _infer(self, node: onnx.NodeProto) -> None:
        if any(name and name not in self.types for name in node.input):
            return  # what follows from something unknown is unknown
        inferred: Mapping[str, onnx.TypeProto] = {}
        node = standard_form(node)
        domain = node.domain or "ai.onnx"
        if onnx.defs.has(node.op_type, self._versions.get(domain, 1), node.domain):
            schema = onnx.defs.get_schema(node.op_type, self._versions.get(domain, 1), node.domain)
            data = {name: self._values[name] for name in node.input if name in self._values}
            types = {name: self.types[name] for name in node.input if name}
            try:
                inferred = onnx.shape_inference.infer_node_outputs(
                    schema,
                    node,
                    types,
                    {name: numpy_helper.from_array(value, name) for name, value in data.items()},
                    opset_imports=self._opsets,
                    ir_version=self._ir_version,
                )
            except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError):
                inferred = {}  # left unknown: a count from a graph is an estimate, a refusal would be worse
        elif node.input and node.input[0] in self.types:
            # Other operators outside the standard are mostly fused ones that keep the shape of their first input.
            inferred = {node.output[0]: fused_product(node, self.types) or self.types[node.input[0]]}
        self.types.update({name: kind for name, kind in inferred.items() if name})

    def _evaluate(self, node: onnx.NodeProto) -> None:
        if node.op_type == "NonZero":
            # As many as there are values at most; which of them it takes only the evaluation can tell.
            value = self._values[node.input[0]]
            self.types[node.output[0]] = helper.make_tensor_type_proto(onnx.TensorProto.INT64, [value.ndim, value.size])
        outputs = [_known(self.types[name]) if name in self.types else None for name in node.output]
        if any(known is None or known.elements > _MAX_EVALUATED_ELEMENTS for known in outputs):
            return
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415  (costs a quarter of a second)

        names = [name for name in dict.fromkeys(node.input) if name]
        graph = helper.make_graph(
            [node],
            "one",
            [helper.make_value_info(name, self.types[name]) for name in names],
            [helper.make_value_info(name, self.types[name]) for name in node.output],
        )
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)
        values = ReferenceEvaluator(model).run(None, {name: self._values[name] for name in names})
        for name, value in zip(node.output, values, strict=True):
            self._set_value(name, np.asarray(value))


def _known(kind: onnx.TypeProto) -> KnownTensor | None:
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dimensions = kind.tensor_type.shape.dim
    if not all(each.HasField("dim_value") for each in dimensions):
        return None
    item_bytes = (
        helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).itemsize if kind.tensor_type.elem_type else 4
    )
    return KnownTensor(tuple(each.dim_value for each in dimensions), item_bytes)
