"""Model files that nobody should open carelessly, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import onnx
from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT
Location = str


def model_of(
    nodes: Sequence[onnx.NodeProto],
    *,
    shape: Sequence[int | str] = ("batch", 4),
    tensors: Sequence[onnx.TensorProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    name: str = "x",
) -> onnx.ModelProto:
    """A model from `x` to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "hostile",
        [helper.make_tensor_value_info(name, FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", FLOAT, ["any", "size"])],
        list(tensors),
    )
    imports = [helper.make_opsetid("", 17), *([helper.make_opsetid("own", 1)] if functions else [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))


def ints(name: str, *values: int) -> onnx.TensorProto:
    """A vector of int64."""
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def elsewhere(location: Location, *, name: str = "w") -> onnx.TensorProto:
    """A tensor that says its data is in another file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def _branch(tensor: onnx.TensorProto) -> onnx.GraphProto:
    node = helper.make_node("Constant", [], ["b"], value=tensor)
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("b", FLOAT, [4])])


def _choice(branch: onnx.GraphProto) -> list[onnx.NodeProto]:
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    return [
        helper.make_node("Constant", [], ["c"], value=condition),
        helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["x", "z"], ["y"]),
    ]


def _function(nodes: Sequence[onnx.NodeProto]) -> onnx.FunctionProto:
    return helper.make_function("own", "F", ["x"], ["y"], list(nodes), [helper.make_opsetid("", 17)])


def _through(function: onnx.FunctionProto) -> onnx.ModelProto:
    return model_of([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function])


def _with_default(tensor: onnx.TensorProto) -> onnx.FunctionProto:
    function = _function([helper.make_node("Neg", ["x"], ["y"])])
    function.attribute_proto.append(helper.make_attribute("hidden", tensor))
    return function


def _sparse(*, values: onnx.TensorProto, indices: onnx.TensorProto) -> onnx.ModelProto:
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.sparse_initializer.add(values=values, indices=indices, dims=[4])
    return model


def hidden_in(place: str, location: Location) -> onnx.ModelProto:
    """A model with data in another file, referred to from `place`, one of HIDING_PLACES."""
    return HIDING_PLACES[place](elsewhere(location))


HIDING_PLACES: dict[str, Callable[[onnx.TensorProto], onnx.ModelProto]] = {
    "an initializer": lambda w: model_of([helper.make_node("Add", ["x", "w"], ["y"])], tensors=[w]),
    "an attribute": lambda w: model_of(
        [helper.make_node("Constant", [], ["w"], value=w), helper.make_node("Add", ["x", "w"], ["y"])]
    ),
    "a list of tensors": lambda w: model_of([helper.make_node("Neg", ["x"], ["y"], hidden=[w])]),
    "a branch": lambda w: model_of(_choice(_branch(w))),
    "sparse values": lambda w: _sparse(values=w, indices=ints("i", 0, 1, 2, 3)),
    "sparse indices": lambda w: _sparse(values=helper.make_tensor("w", FLOAT, [4], [1.0] * 4), indices=w),
    "a function": lambda w: _through(
        _function([helper.make_node("Constant", [], ["w"], value=w), helper.make_node("Add", ["x", "w"], ["y"])])
    ),
    "a branch in a function": lambda w: _through(_function(_choice(_branch(w)))),
    "a default of a function": lambda w: _through(_with_default(w)),
}


def _grown(operator: str, inputs: Sequence[str], tensors: Sequence[onnx.TensorProto]) -> onnx.ModelProto:
    """Something grown from a few bytes, summed up and added to `x`."""
    nodes = [
        helper.make_node(operator, list(inputs), ["grown"]),
        helper.make_node("Neg", ["grown"], ["folded"]),
        helper.make_node("ReduceSum", ["folded"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return model_of(nodes, tensors=tensors)


def _claiming(*dimensions: int) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=dimensions)
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], tensors=[tensor])


def _sparse_claim() -> onnx.ModelProto:
    values = helper.make_tensor("w", FLOAT, [1], [1.0])
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.sparse_initializer.add(values=values, indices=ints("i", 0), dims=[2**40, 2**40])
    return model


def _recursive() -> onnx.ModelProto:
    return _through(_function([helper.make_node("F", ["x"], ["y"], domain="own")]))


def _cycle() -> onnx.ModelProto:
    return model_of([helper.make_node("Add", ["x", "b"], ["y"]), helper.make_node("Neg", ["y"], ["b"])])


_ONE = helper.make_tensor("one", FLOAT, [1], [1.0])
_SCALARS = [helper.make_tensor(name, FLOAT, [], [value]) for name, value in (("a", 0.0), ("b", 1e30), ("d", 1.0))]

BOMBS: dict[str, Callable[[], onnx.ModelProto]] = {
    "weights whose size overflows 64 bits": lambda: _claiming(2**32, 2**32),
    "weights of terabytes": lambda: _claiming(2**20, 2**20),
    "weights of negative size": lambda: _claiming(-4),
    "weights of a million dimensions": lambda: _claiming(*[1] * 1_000_000),
    "a sparse weight that is dense": _sparse_claim,
    "an input of terabytes": lambda: model_of([helper.make_node("Neg", ["x"], ["y"])], shape=(2**31, 2**31)),
    "ConstantOfShape": lambda: _grown("ConstantOfShape", ["s"], [ints("s", 2**20, 2**20)]),
    "ConstantOfShape past 64 bits": lambda: _grown("ConstantOfShape", ["s"], [ints("s", 2**40, 2**40)]),
    "Expand": lambda: _grown("Expand", ["one", "s"], [_ONE, ints("s", 2**20, 2**20)]),
    "Tile": lambda: _grown("Tile", ["one", "s"], [_ONE, ints("s", 2**40)]),
    "Range": lambda: _grown("Range", ["a", "b", "d"], _SCALARS),
    "a function that calls itself": _recursive,
    "a cycle": _cycle,
    "a string of 50 MB": lambda: model_of([helper.make_node("Neg", ["x"], ["y"], note="a" * 50_000_000)]),
    "a name with control characters": lambda: model_of(
        [helper.make_node("Neg", ["\x1b[2J\0"], ["y"])], name="\x1b[2J\0"
    ),
    "a name of a megabyte": lambda: model_of([helper.make_node("Neg", ["n" * 10**6], ["y"])], name="n" * 10**6),
    "a dimension with control characters": lambda: model_of(
        [helper.make_node("Neg", ["x"], ["y"])], shape=("\x1b]0;", 4)
    ),
}


def grown_in_a_branch(*dimensions: int) -> onnx.ModelProto:
    """Adds up as many ones as the dimensions say, in a branch, where nobody looks before it runs."""
    nodes = [
        helper.make_node("Constant", [], ["one"], value=_ONE),
        helper.make_node("Constant", [], ["s"], value=ints("s", *dimensions)),
        helper.make_node("Expand", ["one", "s"], ["grown"]),
        helper.make_node("ReduceSum", ["grown"], ["b"], keepdims=0),
    ]
    return model_of(_choice(helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("b", FLOAT, [])])))


def million_nodes() -> bytes:
    """A chain of a million nodes, written without building it as a message first."""
    chain = (_node(b"Neg", [b"n%d" % number], b"n%d" % (number + 1)) for number in range(1_000_000))
    return _model_around(_node(b"Neg", [b"x"], b"n0") + b"".join(chain))


def slow_graph() -> bytes:
    """A small file whose check takes half a minute of processor time: tensors that are computed to know shapes."""
    start = _field(5, helper.make_tensor("c0", TensorProto.INT64, [8], range(8)).SerializeToString())
    chain = (_node(b"Add", [b"c%d" % number, b"c0"], b"c%d" % (number + 1)) for number in range(90_000))
    return _model_around(_node(b"Neg", [b"x"], b"n1") + b"".join(chain) + start)


def heavy_graph(weight_bytes: int) -> bytes:
    """An honest graph with a weight of that size."""
    weight = TensorProto(
        name="w", data_type=FLOAT, dims=[4, weight_bytes // 16], raw_data=bytes(weight_bytes // 16 * 16)
    )
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], tensors=[weight]).SerializeToString()


def _node(operator: bytes, inputs: Sequence[bytes], output: bytes) -> bytes:
    return _field(1, b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, operator))


def nested_branches(depth: int) -> bytes:
    """Ifs inside Ifs: the message nests three times a level."""
    branch = b""
    for _ in range(depth):
        attribute = _field(1, b"then_branch") + _field(6, branch) + _varint(20 << 3) + _varint(5)
        branch = _field(1, _field(4, b"If") + _field(5, attribute))
    return _model_around(branch)


def million_messages() -> bytes:
    """Twenty times a million empty descriptions of values: two bytes each in the file, a hundred in memory."""
    return _model_around(_field(13, b"") * 20_000_000)


def promised_gigabytes() -> bytes:
    """A graph that says it has two gigabytes, and has three bytes."""
    return _varint(7 << 3 | 2) + _varint(2**31 - 1) + b"end"


def _model_around(graph: bytes) -> bytes:
    frame = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 17)])
    values = onnx.GraphProto(
        name="hostile",
        input=[helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        output=[helper.make_tensor_value_info("n1", FLOAT, ["batch", 4])],
    )
    return frame.SerializeToString() + _field(7, graph + values.SerializeToString())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    return bytes(_septets(value))


def _septets(value: int) -> Iterator[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
