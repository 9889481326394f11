"""What is counted in a graph, against counts made by hand."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from corun.resource_pool.models import GraphFeatures, ModelCatalog
from tests.unit.resource_pool.model_folders import offline_catalog, product_graph, write_graph

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def features_of(tmp_path: Path, model: onnx.ModelProto) -> GraphFeatures:
    write_graph(tmp_path / "mine" / "counted", model)
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("counted").features


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "counted", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def floats(name: str, *shape: int) -> onnx.TensorProto:
    count = 1
    for size in shape:
        count *= size
    return helper.make_tensor(name, FLOAT, shape, [0.1] * count)


def test_a_product_costs_two_operations_a_weight(tmp_path: Path) -> None:
    features = features_of(tmp_path, product_graph(inner=8, outer=4))
    assert features == GraphFeatures(
        flops_per_item=2 * 8 * 4,
        weight_bytes=8 * 4 * 4,
        activation_bytes_per_item=4 * 4,
        operator_count=1,
        dynamic_batch=True,
    )


def test_figures_of_a_fixed_batch_are_those_of_one_item(tmp_path: Path) -> None:
    features = features_of(tmp_path, product_graph(batch=5))
    assert features.flops_per_item == 2 * 8 * 4
    assert features.activation_bytes_per_item == 4 * 4
    assert not features.dynamic_batch


def test_a_convolution_costs_its_kernel_at_every_place(tmp_path: Path) -> None:
    # 3 -> 6 channels, 3 x 3, stride 2 on 8 x 8: 4 x 4 places; grouped the second time, so 3 times cheaper.
    full = helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1])
    grouped = helper.make_node("Conv", ["x", "g"], ["d"], strides=[2, 2], pads=[1, 1, 1, 1], group=3)
    model = model_of(
        [full, grouped, helper.make_node("Relu", ["c"], ["y"]), helper.make_node("Identity", ["d"], ["z"])],
        [helper.make_tensor_value_info("x", FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info(name, FLOAT, ["n", 6, 4, 4]) for name in ("y", "z")],
        [floats("w", 6, 3, 3, 3), floats("g", 6, 1, 3, 3)],
    )
    places = 6 * 4 * 4
    assert features_of(tmp_path, model).flops_per_item == 2 * places * 27 + 2 * places * 9 + places


def test_a_recurrence_costs_its_weights_at_every_step(tmp_path: Path) -> None:
    model = model_of(
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)],
        [helper.make_tensor_value_info("x", FLOAT, [10, 1, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [10, 1, 1, 4])],
        [floats("w", 1, 16, 3), floats("r", 1, 16, 4)],
    )
    assert features_of(tmp_path, model).flops_per_item * 10 == 2 * 10 * (16 * 3 + 16 * 4)


def test_eight_bit_products_count_like_others_and_weigh_a_quarter(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.INT8, [8, 4], [1] * 32)
    model = model_of(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "w", "z"], ["y"]),
        ],
        [helper.make_tensor_value_info("x", FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, ["n", 4])],
        [weight],
    )
    features = features_of(tmp_path, model)
    assert features.weight_bytes == 32
    assert features.flops_per_item == 8 + 2 * 8 * 4  # quantising touches each element once


def test_what_a_runtime_fused_counts_like_what_it_was_fused_of(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("FusedConv", ["x", "w"], ["c"], strides=[2], activation="Tanh", domain="com.microsoft"),
        helper.make_node("DynamicQuantizeMatMul", ["c", "q", "s"], ["d"], domain="com.microsoft"),
        helper.make_node("FusedMatMul", ["d", "d"], ["y"], transB=1, alpha=0.5, domain="com.microsoft"),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", FLOAT, ["n", 2, 9])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", 6, 6])],
        [floats("w", 6, 2, 3), helper.make_tensor("q", TensorProto.INT8, [4, 5], [1] * 20), floats("s")],
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    # Six channels of (9 - 3) / 2 + 1 = 4 places, then [6, 4] by [4, 5], then that by its own transpose.
    assert features_of(tmp_path, model).flops_per_item == 2 * 6 * 4 * (2 * 3) + 2 * 6 * 5 * 4 + 2 * 6 * 6 * 5


def test_a_shape_that_depends_on_values_is_followed_where_the_values_are_known(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["which"], ["places"]),
        helper.make_node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        helper.make_node("GatherND", ["x", "rows"], ["picked"]),
        helper.make_node("MatMul", ["picked", "w"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", FLOAT, ["picked", 3])],
        [helper.make_tensor("which", INT64, [1], [1]), floats("w", 4, 3)],
    )
    assert features_of(tmp_path, model).flops_per_item == 2 * 1 * 4 * 3


def test_shapes_that_the_graph_computes_itself_are_followed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["batch"], axis=0),
        helper.make_node("Concat", ["batch", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", FLOAT, ["n", 6, 4])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", 3, 5])],
        [
            helper.make_tensor("zero", INT64, [1], [0]),
            helper.make_tensor("rest", INT64, [2], [3, 8]),
            floats("w", 8, 5),
        ],
    )
    assert features_of(tmp_path, model).flops_per_item == 2 * 3 * 8 * 5


def test_what_a_runtime_computes_once_is_not_counted(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["w", "w"], ["v"]), helper.make_node("MatMul", ["x", "v"], ["y"])]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", 4])],
        [floats("w", 8, 4)],
    )
    features = features_of(tmp_path, model)
    assert features.flops_per_item == 2 * 8 * 4
    assert features.activation_bytes_per_item == 16
    assert features.operator_count == 2


@pytest.mark.parametrize(
    ("name", "giga_flops", "mega_bytes"),
    [
        # 2 * 85.0 M weights in layers * 128 tokens + 12 layers of attention (4 * 128 * 128 * 768), and elementwise.
        ("bert-base-uncased", 22.4, 435.6),
        # 17.6 GMAC is the figure that the model is published with, 86.6 M parameters.
        ("vit-base-patch16-224", 35.2, 346.3),
        # Published: 407 M multiply-adds.
        ("efficientnet-lite0", 0.78, 18.5),
        # 6 layers of 1.77 M weights at 128 tokens and attention.
        ("all-minilm-l6-v2", 2.88, 22.9),
        # 5 s: convolutions 1.26, 6 layers of 1 M weights at 207 frames and their attention 2.77, the decoder's keys
        # and values of those frames 0.41, 20 tokens at 0.038.
        ("moonshine-tiny", 5.21, 41.8),
    ],
)
def test_known_architectures_cost_what_is_published(
    model_catalog: ModelCatalog, name: str, giga_flops: float, mega_bytes: float
) -> None:
    features = model_catalog.resolve(name).features
    assert features.flops_per_item / 1e9 == pytest.approx(giga_flops, rel=0.03)
    assert features.weight_bytes / 1e6 == pytest.approx(mega_bytes, rel=0.01)
    assert features.dynamic_batch
