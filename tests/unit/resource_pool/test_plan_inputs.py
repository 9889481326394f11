"""What the runs of a plan are fed with, and how their outputs are handed to the models of the workload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from corun.errors import InvalidField
from corun.resource_pool.core.plan import PlannedRun
from corun.resource_pool.models import Model
from corun.resource_pool.plan_inputs import Batch, MemberInput, Share, batches_of, handed_out
from tests.unit.resource_pool.model_folders import (
    offline_catalog,
    product_graph,
    run_on_cpu,
    write_graph,
    write_tiny_bert,
    write_word_tokenizer,
)

Array = npt.NDArray[Any]

READS_TEXT = """
[preprocessing]
kind = "text"
max_length = 5
[postprocessing]
kind = "embedding"
output = "last_hidden_state"
"""
READS_SOUND = '[preprocessing]\nkind = "frames"\nsample_rate = 1000\nframe = 6\ncontext = 2\n'


def product(tmp_path: Path, *, batch: int | str = "batch", manifest: str = "") -> Model:
    """y [batch, 4] = x [batch, 8] times a weight."""
    return written(tmp_path, product_graph(batch=batch), manifest=manifest)


def written(tmp_path: Path, graph: onnx.ModelProto, *, manifest: str = "") -> Model:
    write_graph(tmp_path / "mine" / "m", graph, manifest=manifest or 'type = "vision"\n')
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("m")


def text_model(tmp_path: Path) -> Model:
    write_word_tokenizer(write_tiny_bert(tmp_path / "mine" / "m", manifest=READS_TEXT))
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("m")


def scaled_graph() -> onnx.ModelProto:
    """y [batch, 4] = x [batch, 4] times a scalar, plus a row."""
    shapes: dict[str, list[int | str]] = {"x": ["batch", 4], "scale": [], "row": [4], "y": ["batch", 4]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    nodes = [helper.make_node("Mul", ["x", "scale"], ["scaled"]), helper.make_node("Add", ["scaled", "row"], ["y"])]
    graph = helper.make_graph(nodes, "scaled", values[:-1], values[-1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(batch_size: int, *members: int) -> PlannedRun:
    return PlannedRun("m", batch_size, 0, members)


def rows(count: int, first: float = 0.0, width: int = 8) -> Mapping[str, Array]:
    return {"x": np.arange(first, first + count * width, dtype=np.float32).reshape(count, width)}


def raw(place: int, tensors: Mapping[str, Array]) -> MemberInput:
    return MemberInput(place, tensors=tensors)


def carried_out(model: Model, batches: tuple[Batch, ...]) -> list[tuple[int, dict[str, Array], int]]:
    """Member, outputs and number of readings, batch after batch."""
    handed = []
    for batch in batches:
        outputs = run_on_cpu(model.path, dict(batch.tensors or {}))
        handed += [(member, part, len(results)) for member, part, results in handed_out(batch, model, outputs)]
    return handed


def test_models_that_bring_nothing_run_on_samples(tmp_path: Path) -> None:
    assert batches_of(run(6, 0, 1), product(tmp_path), {}) == (Batch("m:6", 6),)


def test_a_graph_of_fixed_batch_runs_on_as_many_samples_as_it_takes_several_times(tmp_path: Path) -> None:
    assert batches_of(run(6, 0), product(tmp_path, batch=2), {}) == (Batch("m:2", 2),) * 3


def test_a_number_of_items_that_a_fixed_batch_does_not_divide_is_refused_when_samples_are_made(tmp_path: Path) -> None:
    model = product(tmp_path, batch=2)
    (batch,) = batches_of(run(3, 0), model, {})
    with pytest.raises(InvalidField, match="fixed at 2; received 3"):
        model.sample_inputs(batch.item_count)


def test_tensors_of_merged_runs_are_joined_and_their_outputs_split_again(tmp_path: Path) -> None:
    model = product(tmp_path)
    inputs = {0: raw(0, rows(2)), 1: raw(1, rows(1, 100)), 2: raw(2, rows(3, 200))}
    (batch,) = batches_of(run(6, 0, 1, 2), model, inputs)
    assert batch.shares == (Share(0, 2), Share(1, 1), Share(2, 3))
    handed = carried_out(model, (batch,))
    assert [member for member, _, _ in handed] == [0, 1, 2]
    for (member, outputs, readings), own in zip(handed, inputs.values(), strict=True):
        assert readings == 0, member
        alone: Array = run_on_cpu(model.path, dict(own.tensors or {}))["y"]
        np.testing.assert_allclose(outputs["y"], alone, rtol=1e-6)


def test_the_order_of_the_members_is_that_of_the_run(tmp_path: Path) -> None:
    inputs = {0: raw(0, rows(1)), 1: raw(1, rows(2))}
    (batch,) = batches_of(run(3, 1, 0), product(tmp_path), inputs)
    assert batch.shares == (Share(1, 2), Share(0, 1))


def test_texts_of_merged_runs_are_one_batch_and_each_member_gets_its_own_readings(tmp_path: Path) -> None:
    model = text_model(tmp_path)
    texts = {0: ("one two three", "four"), 1: ("five",)}
    inputs = {member: MemberInput(member, items) for member, items in texts.items()}
    (batch,) = batches_of(run(3, 0, 1), model, inputs)
    assert batch.from_items
    assert batch.shares == (Share(0, 2), Share(1, 1))
    handed = carried_out(model, (batch,))
    assert [(member, len(outputs["last_hidden_state"]), count) for member, outputs, count in handed] == [
        (0, 2, 2),
        (1, 1, 1),
    ]


def test_inputs_of_different_shapes_run_one_after_another(tmp_path: Path) -> None:
    model = text_model(tmp_path)

    def ids(count: int, length: int) -> Mapping[str, Array]:
        whole = np.ones((count, length), np.int64)
        return dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), whole)

    inputs = {0: raw(0, ids(2, 4)), 1: raw(1, ids(1, 4)), 2: raw(2, ids(1, 7))}
    batches = batches_of(run(4, 0, 1, 2), model, inputs)
    assert [batch.shares for batch in batches] == [(Share(0, 2), Share(1, 1)), (Share(2, 1),)]
    assert len({batch.slot for batch in batches}) == 2
    assert [(member, outputs["last_hidden_state"].shape[:2]) for member, outputs, _ in carried_out(model, batches)] == [
        (0, (2, 4)),
        (1, (1, 4)),
        (2, (1, 7)),
    ]


def test_items_and_tensors_of_one_merged_run_are_inferences_of_their_own(tmp_path: Path) -> None:
    model = text_model(tmp_path)
    names = ("input_ids", "attention_mask", "token_type_ids")
    tensors = raw(1, {name: np.ones((1, 3), np.int64) for name in names})
    batches = batches_of(run(2, 1, 0), model, {0: MemberInput(0, ("one",)), 1: tensors})
    assert [(batch.shares, batch.from_items) for batch in batches] == [((Share(0, 1),), True), ((Share(1, 1),), False)]


@pytest.mark.parametrize("fixed", [1, 2])
def test_a_graph_of_fixed_batch_takes_the_tensors_of_each_member_by_itself(tmp_path: Path, fixed: int) -> None:
    model = product(tmp_path, batch=fixed)
    inputs = {0: raw(0, rows(fixed)), 1: raw(1, rows(fixed, 100))}
    batches = batches_of(run(2 * fixed, 0, 1), model, inputs)
    assert [batch.shares for batch in batches] == [(Share(0, fixed),), (Share(1, fixed),)]
    assert [(member, outputs["y"].shape) for member, outputs, _ in carried_out(model, batches)] == [
        (0, (fixed, 4)),
        (1, (fixed, 4)),
    ]


def test_a_graph_of_fixed_batch_takes_as_many_items_at_once_as_it_can(tmp_path: Path, photo: bytes) -> None:
    values = [
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [2, 3, 8, 8]),
        helper.make_tensor_value_info("flat", TensorProto.FLOAT, [2, 192]),
    ]
    graph = helper.make_graph([helper.make_node("Flatten", ["pixels"], ["flat"])], "flatten", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = written(tmp_path, proto, manifest='[preprocessing]\nkind = "image"\nsize = [8, 8]\n')
    inputs = {0: MemberInput(0, (photo,)), 1: MemberInput(1, (photo, photo, photo))}
    batches = batches_of(run(4, 0, 1), model, inputs)
    assert [batch.shares for batch in batches] == [(Share(0, 1), Share(1, 1)), (Share(1, 2),)]
    handed = carried_out(model, batches)
    assert [(member, outputs["flat"].shape, count) for member, outputs, count in handed] == [
        (0, (1, 192), 1),
        (1, (1, 192), 1),
        (1, (2, 192), 2),
    ]


def test_recordings_run_one_after_another_whatever_their_length(tmp_path: Path, speech_wav: bytes) -> None:
    model = product(tmp_path, manifest=READS_SOUND)
    batches = batches_of(run(2, 0, 1), model, {0: MemberInput(0, (speech_wav,)), 1: MemberInput(1, (speech_wav,))})
    assert [batch.shares for batch in batches] == [(Share(0, 1),), (Share(1, 1),)]
    (_, outputs, readings), _ = carried_out(model, batches)
    assert len(outputs["y"]) > 1000  # all frames of its one item
    assert readings == 1


def test_inputs_that_do_not_begin_with_the_batch_are_never_joined(tmp_path: Path) -> None:
    model = written(tmp_path, scaled_graph())

    def scaled(count: int, scale: float) -> Mapping[str, Array]:
        return {**rows(count, 1, 4), "scale": np.float32(scale) * np.ones(()), "row": np.zeros(4, np.float32)}

    inputs = {
        number: raw(number, {name: np.asarray(each, np.float32) for name, each in scaled(number + 1, number).items()})
        for number in range(2)
    }
    batches = batches_of(run(3, 0, 1), model, inputs)
    assert [batch.shares for batch in batches] == [(Share(0, 1),), (Share(1, 2),)]
    (_, first, _), (_, second, _) = carried_out(model, batches)
    assert (first["y"] == 0).all()
    np.testing.assert_array_equal(second["y"], rows(2, 1, 4)["x"])


def test_an_output_without_a_batch_axis_goes_to_every_member(tmp_path: Path) -> None:
    model = product(tmp_path)
    batch = Batch("m:0+1:0", 3, (Share(0, 1), Share(1, 2)), rows(3))
    outputs = {"y": np.zeros((3, 4)), "count": np.array(3), "classes": np.arange(7)}
    handed = handed_out(batch, model, outputs)
    assert [part["y"].shape for _, part, _ in handed] == [(1, 4), (2, 4)]
    assert all(part["count"] == 3 and len(part["classes"]) == 7 for _, part, _ in handed)


def refused(run_: PlannedRun, model: Model, inputs: Mapping[int, MemberInput]) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        batches_of(run_, model, inputs)
    return caught.value


@pytest.mark.parametrize("batch_size", [1, 3])
def test_inputs_that_are_not_as_many_as_the_plan_says_are_refused(tmp_path: Path, batch_size: int) -> None:
    error = refused(run(batch_size, 0), product(tmp_path), {0: raw(5, rows(2))})
    assert error.field == "inputs[5]"
    assert f"2 items for a run whose batch_size is {batch_size}" in error.message


def test_all_members_of_a_merged_run_bring_inputs_or_none_does(tmp_path: Path) -> None:
    error = refused(run(3, 0, 1, 2), product(tmp_path), {1: raw(0, rows(1))})
    assert error.field == "inputs"
    assert "models 0, 2" in error.message


@pytest.mark.parametrize(
    ("tensors", "field"),
    [
        ({}, "inputs[1].tensors"),
        ({"z": np.zeros((1, 8), np.float32)}, "inputs[1].tensors"),
        ({**rows(1), "z": np.zeros(1, np.float32)}, "inputs[1].tensors[1].name"),
        ({"x": np.zeros((1, 8), np.float16)}, "inputs[1].tensors[0].data_type"),
        ({"x": np.zeros((1, 7), np.float32)}, "inputs[1].tensors[0].shape"),
        ({"x": np.zeros((0, 8), np.float32)}, "inputs[1].tensors[0].shape"),
        ({"x": np.zeros((), np.float32)}, "inputs[1].tensors[0].shape"),
    ],
    ids=["none", "another name", "one too many", "type", "size", "empty", "scalar"],
)
def test_tensors_that_do_not_fit_are_refused_with_their_place(
    tmp_path: Path, tensors: Mapping[str, Array], field: str
) -> None:
    error = refused(run(2, 0, 1), product(tmp_path), {0: raw(0, rows(1)), 1: raw(1, tensors)})
    assert error.field == field


def test_not_a_number_is_a_number_like_any_other(tmp_path: Path) -> None:
    tensors = {"x": np.full((1, 8), np.nan, np.float32)}
    (batch,) = batches_of(run(1, 0), product(tmp_path), {0: raw(0, tensors)})
    assert np.isnan((batch.tensors or {})["x"]).all()


def test_an_item_that_cannot_be_read_is_refused_with_the_place_its_member_gave_it(tmp_path: Path, photo: bytes) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, 8, 8]) for name in ("pixels", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["same"])], "same", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = written(tmp_path, proto, manifest='[preprocessing]\nkind = "image"\nsize = [8, 8]\n')
    inputs = {0: MemberInput(3, (photo, photo)), 1: MemberInput(4, (photo, b"no image"))}
    assert refused(run(4, 0, 1), model, inputs).field == "inputs[4].items[1].image"
