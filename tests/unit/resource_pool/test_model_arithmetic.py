"""Models without weights: what they compute, and how they are listed and fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from corun.errors import InvalidField
from corun.resource_pool.models import Model
from corun.resource_pool.models.manifest import Manifest, read_manifest, write_manifest
from tests.unit.resource_pool.model_folders import offline_catalog, run_on_cpu, write_tiny_bert

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return offline_catalog(tmp_path_factory.mktemp("arithmetic")).resolve("cosine-similarity")


def scores(model: Model, query: Floats, matrix: Floats) -> Floats:
    inputs: dict[str, npt.NDArray[np.generic]] = {"query": query, "matrix": matrix}
    model.check_inputs(inputs)
    return np.asarray(run_on_cpu(model.path, inputs)["scores"], np.float32)


@pytest.mark.parametrize(("queries", "rows", "width"), [(1, 1, 1), (1, 100, 384), (3, 7, 5), (16, 1000, 768)])
def test_scores_are_the_cosines_of_the_angles(search: Model, queries: int, rows: int, width: int) -> None:
    rng = np.random.default_rng(1)
    query, matrix = (rng.standard_normal((count, width), dtype=np.float32) for count in (queries, rows))
    exact_query, exact_matrix = query.astype(np.float64), matrix.astype(np.float64)
    lengths = np.outer(np.linalg.norm(exact_query, axis=1), np.linalg.norm(exact_matrix, axis=1))
    found = scores(search, query, matrix)
    assert found.shape == (queries, rows)
    # Single precision: sums of up to 768 products.
    np.testing.assert_allclose(found, exact_query @ exact_matrix.T / lengths, atol=1e-5)


def test_rows_of_zeros_are_like_nothing_and_give_no_nan(search: Model) -> None:
    query = np.array([[3, 4], [0, 0]], np.float32)
    matrix = np.array([[6, 8], [0, 0], [-4, 3], [-3, -4]], np.float32)
    np.testing.assert_allclose(scores(search, query, matrix), [[1, 0, 0, -1], [0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-10, 1e10])
def test_the_length_of_a_vector_does_not_matter(search: Model, scale: float) -> None:
    query = np.array([[3, 4]], np.float32)
    matrix = np.array([[1, 0], [4, 3]], np.float32)
    np.testing.assert_allclose(
        scores(search, query * np.float32(scale), matrix * np.float32(scale)), [[0.6, 0.96]], atol=1e-6
    )


def test_it_is_listed_as_arithmetic_before_and_after_it_is_written(tmp_path: Path) -> None:
    catalog = offline_catalog(tmp_path)
    for prepared in (False, True):
        entry = next(entry for entry in catalog.entries() if entry.name == "cosine-similarity")
        assert (entry.weights_origin, entry.model_type, entry.prepared) == ("NONE", "multimodal", prepared)
        model = catalog.resolve("cosine-similarity")
    assert (model.accepts, model.features.weight_bytes, model.features.dynamic_batch) == ("", 4, True)
    assert model.size_bytes < 2000


def test_its_samples_are_a_query_an_item_against_a_hundred_small_embeddings(search: Model) -> None:
    for batch_size in (1, 5):
        samples = search.sample_inputs(batch_size)
        assert {name: array.shape for name, array in samples.items()} == {
            "query": (batch_size, 384),
            "matrix": (100, 384),
        }
        search.check_inputs(samples)


def test_vectors_of_different_widths_are_refused(search: Model) -> None:
    with pytest.raises(InvalidField, match="'width' is 3 in another input") as raised:
        search.check_inputs({"query": np.zeros((1, 3), np.float32), "matrix": np.zeros((2, 4), np.float32)})
    assert raised.value.field == "tensors[1].shape"


def test_a_prepared_one_of_another_version_is_written_again(tmp_path: Path) -> None:
    catalog = offline_catalog(tmp_path)
    folder = catalog.resolve("cosine-similarity").path.parent
    write_tiny_bert(folder)
    write_manifest(folder, Manifest(type="multimodal", weights_origin="NONE", source="version 0"))
    assert [spec.name for spec in catalog.resolve("cosine-similarity").inputs] == ["query", "matrix"]


def test_a_users_model_may_say_how_large_its_free_dimensions_are(tmp_path: Path) -> None:
    manifest = "[sample_sizes]\nsequence = 7\nbatch = 9\n"
    write_tiny_bert(tmp_path / "mine" / "short", manifest=manifest)
    model = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("short")
    # The batch is what was asked for, whatever the manifest says.
    assert model.sample_inputs(2)["input_ids"].shape == (2, 7)


def test_sample_sizes_survive_being_written(tmp_path: Path) -> None:
    manifest = Manifest(sample_sizes={"rows": 3, 'past "length" + 1': 4})
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
