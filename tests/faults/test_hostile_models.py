"""Model files that mean harm: each is refused in time, in words, and in a process that is gone afterwards."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from tests.faults.hostile_graphs import (
    BOMBS,
    HIDING_PLACES,
    hidden_in,
    ints,
    million_messages,
    million_nodes,
    model_of,
    nested_branches,
    promised_gigabytes,
)
from tests.faults.trial import RECIPE, Trial
from tests.unit.resource_pool.model_folders import counting_graphs, write_parts, write_tiny_bert

REASONS = {
    "weights whose size overflows 64 bits": "claims the shape [4294967296, 4294967296]",
    "weights of terabytes": "claims the shape [1048576, 1048576]",
    "weights of negative size": "claims the shape [-4]",
    "weights of a million dimensions": "claims the shape",
    "a sparse weight that is dense": "is too large",
    "an input of terabytes": "a browser's memory ends at",
    "ConstantOfShape": "a browser's memory ends at",
    "ConstantOfShape past 64 bits": "a browser's memory ends at",
    "Expand": "a browser's memory ends at",
    "Tile": "a browser's memory ends at",
    "Range": "Maximum allowed size exceeded",
    "a function that calls itself": "must not be recursive",
    "a cycle": "topologically sorted",
    "a string of 50 MB": "Unrecognized attribute: note",
    "a name with control characters": "cannot be printed",
    "a name of a megabyte": "more than 512 characters",
    "a dimension with control characters": "cannot be printed",
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_data_in_other_files_is_refused_wherever_the_graph_hides_it(trial: Trial, place: str) -> None:
    assert "in another file" in trial.refusal_of(hidden_in(place, "../good/model.onnx").SerializeToString())


@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "a/../../../x", "", "\0", "/dev/zero"])
def test_data_in_other_files_is_refused_wherever_those_are(trial: Trial, location: str) -> None:
    assert "in another file" in trial.refusal_of(hidden_in("an initializer", location).SerializeToString())


@pytest.mark.parametrize("name", BOMBS)
def test_a_graph_that_is_small_on_disk_and_huge_in_memory_is_refused(trial: Trial, name: str) -> None:
    assert REASONS[name] in trial.refusal_of(BOMBS[name]().SerializeToString())


def test_a_graph_of_a_million_nodes_is_refused(trial: Trial) -> None:
    assert "more than 100000 nodes" in trial.refusal_of(million_nodes())


def test_a_message_that_grows_fiftyfold_in_memory_ends_at_the_childs_limit(trial: Trial) -> None:
    assert "bytes of memory" in trial.refusal_of(million_messages())


def test_ten_thousand_branches_inside_each_other_are_refused(trial: Trial) -> None:
    assert "MaxDepth" in trial.refusal_of(nested_branches(10_000))


def test_a_file_that_promises_two_gigabytes_is_refused(trial: Trial) -> None:
    assert "not ONNX" in trial.refusal_of(promised_gigabytes())


@pytest.mark.parametrize("kind", ["nothing", "noise", "an archive", "text"])
def test_a_file_of_another_kind_is_refused(trial: Trial, kind: str) -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("model.onnx", "inside")
    contents = {
        "nothing": b"",
        "noise": random.Random(7).randbytes(100_000),
        "an archive": archive.getvalue(),
        "text": b"I am a model, honestly.\n" * 100,
    }
    problem = trial.refusal_of(contents[kind])
    assert "is empty" in problem if kind == "nothing" else "not ONNX" in problem


def test_a_file_cut_short_anywhere_is_refused(trial: Trial, tmp_path: Path) -> None:
    whole = (write_tiny_bert(tmp_path / "whole") / "model.onnx").read_bytes()
    rng = random.Random(20)
    for length in sorted(rng.randrange(1, len(whole)) for _ in range(20)):
        assert trial.refusal_of(whole[:length]), length


def test_a_graph_that_breaks_no_rule_but_loads_in_no_runtime_is_refused(trial: Trial) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [5, 4], [0.0] * 20)
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], tensors=[weight])
    assert "onnxruntime does not load it" in trial.refusal_of(model.SerializeToString())


def test_an_operator_that_the_cpu_lacks_and_a_browsers_gpu_may_have_refuses_no_model(trial: Trial) -> None:
    half = TensorProto.FLOAT16
    scale = [helper.make_tensor(name, TensorProto.FLOAT, [4], [1.0] * 4) for name in ("gamma", "beta")]
    node = helper.make_node(
        "GroupNorm", ["x", "gamma", "beta"], ["y"], domain="com.microsoft", groups=2, activation=0, channels_last=1
    )
    model = model_of([node], shape=("batch", 4, 4, 4), tensors=scale)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = half
    model.graph.output[0].type.tensor_type.shape.CopyFrom(model.graph.input[0].type.tensor_type.shape)
    folder = trial.new_folder()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    assert trial.catalog.resolve(folder.name).inputs[0].data_type == "float16"


def test_graphs_like_the_hostile_ones_but_of_honest_sizes_are_taken(trial: Trial) -> None:
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Expand", ["one", "s"], ["grown"]),
        helper.make_node("ReduceSum", ["grown"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    model = model_of(nodes, tensors=[one, ints("s", 100, 100)])
    folder = trial.new_folder()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    assert trial.catalog.resolve(folder.name).features.operator_count == 3


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("name", ["weights of terabytes", "a cycle"])
def test_either_part_of_a_model_may_be_the_one_that_means_harm(trial: Trial, part: str, name: str) -> None:
    folder = write_parts(trial.new_folder(), counting_graphs(), manifest=RECIPE)
    (folder / f"{part}.onnx").write_bytes(BOMBS[name]().SerializeToString())
    problem = trial.refusal(folder)
    assert problem.startswith(f"{part}.onnx: ")
    assert REASONS[name] in problem


def test_a_part_that_loads_in_no_runtime_is_named(trial: Trial) -> None:
    graphs = counting_graphs()
    follows = next(each for each in graphs["decoder"].graph.initializer if each.name == "ends")
    follows.CopyFrom(helper.make_tensor("ends", TensorProto.INT32, [1, 10], [1] * 10))
    folder = write_parts(trial.new_folder(), graphs, manifest=RECIPE)
    assert "decoder.onnx: " in trial.refusal(folder)


def test_a_branch_of_a_decoder_that_grows_past_a_browser_is_refused(trial: Trial) -> None:
    graphs = counting_graphs()
    graph = graphs["decoder"].graph
    huge = helper.make_graph(
        [
            helper.make_node("Constant", [], ["sizes"], value=ints("sizes", 2**20, 2**20)),
            helper.make_node("ConstantOfShape", ["sizes"], ["grown"]),
            helper.make_node("ReduceSum", ["grown"], ["sum"], keepdims=0),
        ],
        "huge",
        [],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [])],
    )
    graph.node.append(helper.make_node("If", ["later"], ["unused"], then_branch=huge, else_branch=huge))
    graph.input.append(helper.make_tensor_value_info("later", TensorProto.BOOL, [1]))
    graph.output.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, []))
    folder = write_parts(trial.new_folder(), graphs, manifest=RECIPE + 'switch = "later"\n')
    assert "a browser's memory ends at" in trial.refusal(folder)
