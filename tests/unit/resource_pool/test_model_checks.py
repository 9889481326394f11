"""What a model file must be before a browser sees it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from corun.errors import ModelRefused
from tests.unit.resource_pool.model_folders import offline_catalog, product_graph, write_graph, write_tiny_bert


def resolve_refused(tmp_path: Path, folder_name: str = "bad", **options: int) -> str:
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine", **options)
    with pytest.raises(ModelRefused) as raised:
        catalog.resolve(folder_name)
    assert raised.value.metadata == {"model_name": folder_name, "problem": raised.value.problem}
    return raised.value.message


@pytest.mark.parametrize("location", ["weights.bin", "../../../etc/passwd", "/etc/passwd"])
def test_weights_in_another_file_are_refused_wherever_they_are(tmp_path: Path, location: str) -> None:
    model = product_graph()
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    write_graph(tmp_path / "mine" / "bad", model)
    assert "another file" in resolve_refused(tmp_path)


def test_weights_in_another_file_are_refused_inside_branches_too(tmp_path: Path) -> None:
    hidden = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [1.0])
    hidden.ClearField("float_data")
    hidden.data_location = TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="weights.bin")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value=hidden)],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])],
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "choice",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_graph(tmp_path / "mine" / "bad", model)
    assert "another file" in resolve_refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"hello, I am a model"])
def test_a_file_that_is_not_a_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine" / "bad").mkdir(parents=True)
    (tmp_path / "mine" / "bad" / "model.onnx").write_bytes(content)
    assert "refused" in resolve_refused(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_tiny_bert(tmp_path / "mine" / "bad") / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "not ONNX" in resolve_refused(tmp_path)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path / "mine" / "bad")
    assert "the limit is 1000" in resolve_refused(tmp_path, max_model_bytes=1000)


def test_a_graph_that_breaks_the_rules_is_refused(tmp_path: Path) -> None:
    model = product_graph()
    model.graph.node[0].input[1] = "nobody"
    write_graph(tmp_path / "mine" / "bad", model)
    assert "ONNX's rules" in resolve_refused(tmp_path)


def test_a_graph_with_training_parts_is_refused(tmp_path: Path) -> None:
    model = product_graph()
    model.training_info.add()
    write_graph(tmp_path / "mine" / "bad", model)
    assert "training" in resolve_refused(tmp_path)


def test_a_graph_that_takes_other_things_than_tensors_is_refused(tmp_path: Path) -> None:
    model = product_graph()
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    model.graph.input.append(sequence)
    write_graph(tmp_path / "mine" / "bad", model)
    assert "'s' is not a tensor" in resolve_refused(tmp_path)


def test_a_shape_that_cannot_be_known_does_not_refuse_a_graph(tmp_path: Path) -> None:
    # How many elements NonZero gives depends on the values.
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Neg", ["n"], ["y"])],
        "unknown",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [2, "found"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_graph(tmp_path / "mine" / "odd", model)
    features = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("odd").features
    assert features.operator_count == 2


def test_a_graph_whose_weights_claim_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    model = product_graph()
    model.graph.initializer[0].dims[0] = 1_000_000_000
    (tmp_path / "mine" / "bad").mkdir(parents=True)
    onnx.save(model, tmp_path / "mine" / "bad" / "model.onnx")
    assert "refused" in resolve_refused(tmp_path)
