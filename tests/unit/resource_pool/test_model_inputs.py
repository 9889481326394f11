"""Synthetic inputs, and raw tensors held against a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from corun.errors import InvalidField
from corun.resource_pool.models import Model, ModelCatalog
from tests.unit.resource_pool.model_folders import (
    offline_catalog,
    product_graph,
    run_on_cpu,
    write_graph,
    write_tiny_bert,
)


@pytest.fixture
def bert(tmp_path: Path) -> Model:
    folder = write_tiny_bert(tmp_path / "mine" / "tiny")
    (folder / "model.toml").write_text("", encoding="utf-8")
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")


def ids(*shape: int, value: int = 1) -> dict[str, npt.NDArray[np.generic]]:
    full: npt.NDArray[np.generic] = np.full(shape, value, dtype=np.int64)
    return {"input_ids": full, "attention_mask": np.ones_like(full), "token_type_ids": np.zeros_like(full)}


def test_samples_of_text_are_ids_of_the_vocabulary_under_a_full_mask(bert: Model) -> None:
    samples = bert.sample_inputs(3)
    assert {name: array.shape for name, array in samples.items()} == dict.fromkeys(samples, (3, 128))
    assert int(np.max(samples["input_ids"])) < 100  # the vocabulary of this model
    assert len(np.unique(samples["input_ids"])) > 50
    assert (samples["attention_mask"] == 1).all()
    assert set(samples["token_type_ids"].flat) <= {0, 1}


def test_samples_are_the_same_every_time(bert: Model) -> None:
    first, second = bert.sample_inputs(2), bert.sample_inputs(2)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    "name", ["all-minilm-l6-v2", "paraphrase-minilm-l3-v2", "efficientnet-lite0", "silero-vad", "pp-ocr-cls"]
)
def test_samples_pass_the_check_and_run(model_catalog: ModelCatalog, name: str, batch_size: int) -> None:
    model = model_catalog.resolve(name)
    samples = model.sample_inputs(batch_size)
    model.check_inputs(samples)
    outputs = run_on_cpu(model.path, samples)
    assert set(outputs) == {spec.name for spec in model.outputs}
    assert all(np.isfinite(output).all() for output in outputs.values())


def test_one_item_of_sound_is_one_second(model_catalog: ModelCatalog) -> None:
    model = model_catalog.resolve("silero-vad")
    # 16,000 samples in frames of 512 are 31.25 frames a second.
    assert model.sample_inputs(1)["input"].shape == (32, 576)
    assert model.sample_inputs(4)["input"].shape == (125, 576)
    assert not model.sample_inputs(4)["h"].any()


def test_a_graph_of_fixed_batch_takes_no_other(tmp_path: Path) -> None:
    write_graph(tmp_path / "mine" / "fixed", product_graph(batch=2))
    model = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("fixed")
    assert model.sample_inputs(2)["x"].shape == (2, 8)
    with pytest.raises(InvalidField, match="fixed at 2; received 3") as raised:
        model.sample_inputs(3)
    assert raised.value.field == "batch_size"


def test_fitting_tensors_pass(bert: Model) -> None:
    bert.check_inputs(ids(2, 7))


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"input_ids": np.ones((2, 7), np.int32)}, "tensors[0].data_type", "takes int64; received int32"),
        ({"attention_mask": np.ones((2, 8), np.int64)}, "tensors[1].shape", "'sequence' is 7"),
        ({"attention_mask": np.ones((2, 7, 1), np.int64)}, "tensors[1].shape", "[batch, sequence]"),
        ({"token_type_ids": np.full((2, 7), 2)}, "tensors[2].content", "below 2"),
        ({"input_ids": np.full((2, 7), 100)}, "tensors[0].content", "below 100"),
        ({"surplus": np.ones((2, 7), np.int64)}, "tensors[3].name", "no input 'surplus'"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    bert: Model, change: dict[str, npt.NDArray[np.generic]], field: str, problem: str
) -> None:
    with pytest.raises(InvalidField) as raised:
        bert.check_inputs(ids(2, 7) | change)
    assert raised.value.field == field
    assert problem in raised.value.message


def test_a_missing_tensor_is_named(bert: Model) -> None:
    tensors = ids(2, 7)
    del tensors["attention_mask"]
    with pytest.raises(InvalidField, match="missing: attention_mask"):
        bert.check_inputs(tensors)


def test_an_empty_dimension_is_refused(bert: Model) -> None:
    with pytest.raises(InvalidField, match="may be empty"):
        bert.check_inputs(ids(0, 7))


def test_a_model_without_preprocessing_takes_raw_tensors_only(bert: Model) -> None:
    with pytest.raises(InvalidField, match="raw tensors only"):
        bert.encode(["hello"])
    assert bert.decode({}, ids(2, 7)) == [bert.decode({}, ids(1, 7))[0]] * 2
