"""What a model file must be before a browser sees it. What means harm is under tests/faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from corun.errors import ModelRefused
from corun.resource_pool.models.facts import MAX_MODEL_BYTES
from tests.unit.resource_pool.model_folders import offline_catalog, product_graph, write_graph, write_tiny_bert


def resolve_refused(tmp_path: Path, *, max_model_bytes: int = MAX_MODEL_BYTES) -> str:
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine", max_model_bytes=max_model_bytes)
    with pytest.raises(ModelRefused) as raised:
        catalog.resolve("bad")
    assert raised.value.metadata == {"model_name": "bad", "problem": raised.value.problem}
    return raised.value.message


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
