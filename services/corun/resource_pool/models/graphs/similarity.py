"""Cosine similarity of every query with every row of a matrix: the search in a set of embeddings."""

from __future__ import annotations

from onnx import TensorProto

from corun.resource_pool.models.graphs.builder import GraphBuilder

# Products of lengths below this count as zero: a row of zeros is like nothing, and nothing is divided by zero.
_SMALLEST = 1e-30


def cosine_similarity_graph() -> GraphBuilder:
    """`query` [queries, width] and `matrix` [rows, width] to `scores` [queries, rows], -1 to 1, 0 for rows of zeros.

    The products are divided by the lengths, not the rows: that spares a scaled copy of the matrix. Only operators
    that onnxruntime-web has on every platform.
    """
    graph = GraphBuilder("cosine-similarity")
    query = graph.input("query", TensorProto.FLOAT, ["queries", "width"])
    matrix = graph.input("matrix", TensorProto.FLOAT, ["rows", "width"])
    products = graph.node("MatMul", query, graph.node("Transpose", matrix, perm=[1, 0]))
    query_lengths, row_lengths = (graph.node("ReduceL2", each, axes=[1], keepdims=1) for each in (query, matrix))
    lengths = graph.node("Mul", query_lengths, graph.node("Transpose", row_lengths, perm=[1, 0]))
    safe_lengths = graph.node("Max", lengths, graph.constant("smallest", _SMALLEST))
    graph.output(graph.node("Div", products, safe_lengths), "scores", ["queries", "rows"])
    return graph
