"""Text in, embeddings out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from corun.errors import InvalidField, ModelRefused
from corun.resource_pool.models import Model, ModelCatalog
from tests.unit.resource_pool.model_folders import offline_catalog, run_on_cpu, write_tiny_bert, write_word_tokenizer

TEXT_MODELS = ["all-minilm-l6-v2", "paraphrase-minilm-l3-v2"]


def embed(model: Model, texts: list[str]) -> npt.NDArray[np.float64]:
    inputs = model.encode(texts)
    model.check_inputs(inputs)
    results = model.decode(run_on_cpu(model.path, inputs), inputs)
    assert len(results) == len(texts)
    return np.array([result.embedding for result in results])


@pytest.fixture
def tiny(tmp_path: Path) -> Model:
    folder = write_tiny_bert(tmp_path / "mine" / "tiny", manifest='[preprocessing]\nkind = "text"\nmax_length = 5\n')
    write_word_tokenizer(folder)
    return offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_paraphrases_are_closer_than_unrelated_sentences(model_catalog: ModelCatalog, name: str) -> None:
    vectors = embed(
        model_catalog.resolve(name),
        ["A man is eating food.", "Somebody is having a meal.", "The stock market fell sharply today."],
    )
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-9)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.4


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_text_means_the_same_alone_and_beside_a_longer_one(model_catalog: ModelCatalog, name: str) -> None:
    model = model_catalog.resolve(name)
    text = "A man is eating food."
    alone = embed(model, [text])[0]
    beside = embed(model, [text, "And then there was a very much longer sentence that went on and on. " * 3])[0]
    assert alone @ beside == pytest.approx(1.0, abs=1e-3)


def test_texts_are_padded_to_the_longest_whatever_the_tokenizer_file_says(tiny: Model) -> None:
    inputs = tiny.encode(["one two", "three four five"])
    assert inputs["input_ids"].tolist() == [[1, 2, 0], [3, 4, 5]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_text_is_cut_at_the_models_length(tiny: Model) -> None:
    assert tiny.encode(["one two three four five six seven"])["input_ids"].tolist() == [[1, 2, 3, 4, 5]]


def test_a_mean_is_taken_over_what_the_mask_shows(tiny: Model) -> None:
    output = np.zeros((1, 3, 2), np.float32)
    output[0] = [[3, 0], [0, 4], [1000, 1000]]
    mask = np.array([[1, 1, 0]])
    (result,) = tiny.decode({"last_hidden_state": output}, {"attention_mask": mask})
    assert result.embedding == pytest.approx((0.6, 0.8))  # of (1.5, 2)


def test_a_tokenizer_beside_a_model_is_enough_to_take_text(tmp_path: Path) -> None:
    write_word_tokenizer(write_tiny_bert(tmp_path / "mine" / "plain"))
    model = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("plain")
    assert (model.accepts, model.model_type) == ("text", "text_embedding")
    assert len(embed(model, ["one two three"])[0]) == 32


def test_a_text_without_tokens_is_named(tiny: Model) -> None:
    with pytest.raises(InvalidField, match="no tokens") as raised:
        tiny.encode(["one", "   "])
    assert raised.value.field == "items[1].text"


def test_bytes_are_not_text(tiny: Model) -> None:
    with pytest.raises(InvalidField, match="takes text") as raised:
        tiny.encode(["one", b"two"])
    assert raised.value.field == "items[1]"


def test_a_broken_tokenizer_refuses_the_model(tmp_path: Path) -> None:
    folder = write_tiny_bert(tmp_path / "mine" / "odd")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelRefused, match="not a tokenizer"):
        offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("odd")
