"""Models whose folder has an encoder and a decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from corun.errors import InvalidField, ModelRefused
from corun.resource_pool.models import Model, TensorSpec
from corun.resource_pool.models.manifest import read_manifest, write_manifest
from corun.resource_pool.models.recipe import Seq2Seq
from tests.unit.resource_pool.model_folders import (
    COUNTING_RECIPE,
    counting_graphs,
    offline_catalog,
    product_graph,
    write_graph,
    write_parts,
)
from tests.unit.resource_pool.test_model_audio import wav

Array = npt.NDArray[Any]
LETTERS = {
    "version": "1.0",
    "model": {"type": "WordLevel", "vocab": dict(zip("abcdefghij", range(10), strict=True)), "unk_token": "a"},
    "decoder": {"type": "Fuse"},
}


def resolve(
    tmp_path: Path, *, manifest: str = COUNTING_RECIPE, graphs: Mapping[str, onnx.ModelProto] | None = None
) -> Model:
    write_parts(tmp_path / "mine" / "counting", graphs or counting_graphs(), manifest=manifest)
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("counting")


def tensors(*lengths: int, most: int = 12, least: int = 0) -> dict[str, Array]:
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return {
        "sound": np.zeros(mask.shape, np.float32),
        "mask": mask.astype(np.int64),
        "min_tokens": np.full(len(lengths), least, np.int64),
        "max_tokens": np.full(len(lengths), most, np.int64),
    }


def test_both_graphs_are_one_model(tmp_path: Path) -> None:
    model = resolve(tmp_path)
    assert {name: file.path.name for name, file in model.files.items()} == {
        "encoder": "encoder.onnx",
        "decoder": "decoder.onnx",
    }
    assert model.size_bytes == sum(file.path.stat().st_size for file in model.files.values())
    assert model.sha256 not in {file.sha256 for file in model.files.values()}
    assert [spec.name for spec in model.inputs] == ["sound", "mask", "min_tokens", "max_tokens"]
    assert model.outputs == (TensorSpec("tokens", "int64", ("batch", "tokens")),)
    assert model.accepts == "audio"


def test_features_are_those_of_a_whole_sample_run(tmp_path: Path) -> None:
    features = resolve(tmp_path).features
    # A sample has 50 numbers. The encoder multiplies each with its mask. Each step of the decoder sums them up, and
    # computes with ten scores twice for every token so far: 1 in the first step, and halfway (1 + 3 // 2) 2 in two.
    # (Elements are counted by result: the sum is one.)
    assert features.flops_per_item == 50 + (1 + 10 + 10) + 2 * (1 + 10 + 20)
    assert features.operator_count == 3 + 3 * 4
    assert features.weight_bytes == 8 + (10 * 10 * 4 + 10 * 4 + 8)
    assert features.dynamic_batch


@pytest.mark.parametrize("changed", ["encoder", "decoder"])
def test_a_change_of_either_graph_makes_another_model(tmp_path: Path, changed: str) -> None:
    folder = write_parts(tmp_path / "mine" / "counting", counting_graphs(), manifest=COUNTING_RECIPE)
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    first = catalog.resolve("counting")
    assert catalog.resolve("counting") is first
    graph = counting_graphs()[changed]
    graph.doc_string = "another"
    (folder / f"{changed}.onnx").write_bytes(graph.SerializeToString())
    assert catalog.resolve("counting").sha256 != first.sha256


@pytest.mark.parametrize("changed", ["encoder", "decoder"])
def test_a_file_that_is_not_the_one_that_was_checked_is_noticed_whichever_it_is(tmp_path: Path, changed: str) -> None:
    model = resolve(tmp_path)
    model.check_unchanged()
    path = model.files[changed].path
    path.write_bytes(path.read_bytes())
    with pytest.raises(ModelRefused, match=rf"{changed}\.onnx changed after it was checked"):
        model.check_unchanged()
    path.unlink()
    with pytest.raises(ModelRefused, match=rf"{changed}\.onnx is gone"):
        model.check_unchanged()


def test_what_both_graphs_were_found_to_be_is_remembered_as_one(tmp_path: Path) -> None:
    first = resolve(tmp_path)
    cache = tmp_path / "cache" / "models" / ".facts"
    (record,) = cache.iterdir()
    written = record.stat().st_mtime_ns
    again = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    again.close()  # from here on nothing can be checked, only remembered
    second = again.resolve("counting")
    assert (second.files, second.recipe, second.inputs) == (first.files, first.recipe, first.inputs)
    assert [each.stat().st_mtime_ns for each in cache.iterdir()] == [written]


def test_a_folder_with_half_a_model_is_no_model(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "mine" / "counting", counting_graphs(), manifest=COUNTING_RECIPE)
    (folder / "decoder.onnx").unlink()
    entries = offline_catalog(tmp_path, models_folder=tmp_path / "mine").entries()
    assert "counting" not in [entry.name for entry in entries]


def test_two_graphs_without_a_recipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"needs a table \[seq2seq\]"):
        resolve(tmp_path, manifest='type = "audio"\n')


def test_a_recipe_beside_a_single_graph_is_refused(tmp_path: Path) -> None:
    manifest = "[seq2seq]\nstart = [0]\nend = 9\nmax_tokens = 12\n"
    write_graph(tmp_path / "mine" / "single", product_graph(), manifest=manifest)
    with pytest.raises(ModelRefused, match="needs two graphs"):
        offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("single")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('encoder_output = "states"', "'states' is no encoder output; there are last_hidden_state"),
        ('encoder_output = ""', "is no encoder output"),
        ('decoder_tokens = "ids"', "'ids' is no decoder input; there are input_ids, encoder_hidden_states"),
        ('decoder_states = "input_ids"', "'input_ids' is of int64; lanes take float32"),
        ('switch = "use_cache_branch"', "'use_cache_branch' is no decoder input"),
        ('past = "past_key_values."', "begins no decoder input"),
        ('logits = "scores"', "'scores' is no decoder output"),
        ("beams = 4", "beams"),
        ("sample_tokens = 0", "sample_tokens"),
    ],
)
def test_a_recipe_that_does_not_fit_its_graphs_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    manifest = COUNTING_RECIPE.replace("sample_tokens = 3", "") if "sample_tokens" in line else COUNTING_RECIPE
    with pytest.raises(ModelRefused, match=problem):
        resolve(tmp_path, manifest=f"{manifest}{line}\n")


def test_an_input_that_nothing_would_feed_is_named(tmp_path: Path) -> None:
    graphs = counting_graphs()
    graphs["decoder"].graph.input.append(helper.make_tensor_value_info("temperature", TensorProto.FLOAT, [1]))
    with pytest.raises(ModelRefused, match="fed: temperature"):
        resolve(tmp_path, graphs=graphs)


def test_a_decoder_that_keeps_its_data_elsewhere_is_refused(tmp_path: Path) -> None:
    graphs = counting_graphs()
    tensor = graphs["decoder"].graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    with pytest.raises(ModelRefused, match="another file"):
        resolve(tmp_path, graphs=graphs)


def test_recordings_become_one_batch_with_a_mask_and_a_limit_each(tmp_path: Path) -> None:
    encoded = resolve(tmp_path).encode([wav([0.5] * 30, rate=1000), wav([0.5] * 80, rate=1000)])
    assert encoded["sound"].shape == (2, 80)
    assert encoded["sound"][0, 30:].tolist() == [0] * 50
    assert encoded["mask"].sum(axis=1).tolist() == [30, 80]
    assert encoded["min_tokens"].tolist() == [0, 0]
    assert encoded["max_tokens"].tolist() == [3, 8]  # at 100 a second


def test_a_limit_never_goes_below_one_token_or_over_what_the_decoder_gives() -> None:
    recipe = Seq2Seq(start=(0,), end=9, max_tokens=12, tokens_per_second=2.0)
    assert [recipe.most_tokens(seconds) for seconds in (0.01, 0.6, 5, 60, float("inf"))] == [1, 2, 10, 12, 12]
    assert Seq2Seq(start=(0,), end=9, max_tokens=12).most_tokens(0.01) == 12


@pytest.mark.parametrize(("count", "problem"), [(9, r"0\.009 s are too short"), (501, "too long")])
def test_a_recording_of_the_wrong_length_is_refused_by_item(tmp_path: Path, count: int, problem: str) -> None:
    with pytest.raises(InvalidField, match=problem) as raised:
        resolve(tmp_path).encode([wav([0.0] * 100, rate=1000), wav([0.0] * count, rate=1000)])
    assert raised.value.field == "items[1].audio"


def test_a_sample_run_makes_a_fixed_count_of_tokens(tmp_path: Path) -> None:
    model = resolve(tmp_path)
    sample = model.sample_inputs(2)
    assert sample["sound"].shape == sample["mask"].shape == (2, 50)
    assert sample["min_tokens"].tolist() == sample["max_tokens"].tolist() == [3, 3]
    model.check_inputs(sample)


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        (tensors(20, most=13), "tensors[3].content", "1 to 12 tokens"),
        (tensors(20, most=0), "tensors[3].content", "1 to 12 tokens"),
        (tensors(20, most=5, least=6), "tensors[2].content", "0 to max_tokens"),
        (tensors(20, least=-1), "tensors[2].content", "0 to max_tokens"),
        (tensors(20, 9), "tensors[1].content", "10 to 500 samples"),
        (tensors(501), "tensors[1].content", "10 to 500 samples"),
        (tensors(20) | {"mask": np.array([[0] + [1] * 19])}, "tensors[1].content", "zeros behind them"),
        (tensors(20) | {"mask": np.full((1, 20), 2)}, "tensors[1].content", "zeros behind them"),
        (tensors(20) | {"mask": np.zeros((1, 20), np.int64)}, "tensors[1].content", "zeros behind them"),
    ],
)
def test_tensors_that_ask_for_what_cannot_be_are_refused(
    tmp_path: Path, given: dict[str, Array], field: str, problem: str
) -> None:
    with pytest.raises(InvalidField, match=problem) as raised:
        resolve(tmp_path).check_inputs(given)
    assert raised.value.field == field


def test_tokens_are_read_up_to_the_end(tmp_path: Path) -> None:
    model = resolve(tmp_path)
    assert model.decode({"tokens": np.array([[1, 2, 9]])}, tensors(20))[0].transcript == ""  # there is no tokenizer
    (tmp_path / "mine" / "counting" / "tokenizer.json").write_text(json.dumps(LETTERS))
    model = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("counting")
    rows = np.array([[1, 2, 9, 9], [9, 9, 9, 9], [1, 2, 3, 4]])
    results = model.decode({"tokens": rows}, tensors(20, 20, 20))
    assert [result.transcript for result in results] == ["bc", "", "bcde"]


def test_a_transcript_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"needs tokenizer\.json"):
        resolve(tmp_path, manifest=COUNTING_RECIPE + '[postprocessing]\nkind = "transcript"\n')


def test_a_recipe_survives_writing_and_reading(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(COUNTING_RECIPE, encoding="utf-8")
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
