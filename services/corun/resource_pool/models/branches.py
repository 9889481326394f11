"""A graph as it runs for one value of a boolean input that chooses between branches."""

from __future__ import annotations

import onnx
from onnx import helper


def take_branch(model: onnx.ModelProto, switch: str, value: bool) -> onnx.ModelProto:
    """A copy in which every `If` of the main graph that looks at input `switch` is replaced by the branch taken.

    Branches of the main graph may use its tensors, so that their nodes can stand in it as they are.
    """
    taken = onnx.ModelProto()
    taken.CopyFrom(model)
    del taken.graph.node[:]
    for node in model.graph.node:
        if node.op_type == "If" and node.input[0] == switch:
            _inline(taken.graph, node, _branch(node, "then_branch" if value else "else_branch"))
        else:
            taken.graph.node.append(node)
    return taken


def _branch(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    return next(each.g for each in node.attribute if each.name == name)


def _inline(graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto) -> None:
    graph.node.extend(branch.node)
    graph.initializer.extend(branch.initializer)
    graph.node.extend(
        helper.make_node("Identity", [value.name], [name])
        for value, name in zip(branch.output, node.output, strict=True)
        if name
    )
