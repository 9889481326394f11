"""Outputs of real browsers against onnxruntime on the CPU, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.plumbing.settings import cache_folder
from corun.resource_pool.conversion import from_array, platform_value, to_arrays
from corun.resource_pool.models import ModelCatalog
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

Array = npt.NDArray[np.float32]

# Of the largest value of the reference: single elements near zero have no meaningful relative error.
RELATIVE_TOLERANCE = 1e-3


def catalog() -> ModelCatalog:
    return ModelCatalog(models_folder=None, cache_folder=cache_folder())


@pytest.mark.parametrize(
    ("model_name", "platform"),
    [
        ("paraphrase-minilm-l3-v2", "wasm"),
        ("efficientnet-lite0", "wasm"),
        ("silero-vad", "wasm"),
        ("vit-s-focus", "wasm"),
        ("all-minilm-l6-v2", "wasm"),
        ("pp-ocr-cls", "wasm"),
        ("cosine-similarity", "wasm"),
        ("paraphrase-minilm-l3-v2", "webgpu"),
        ("silero-vad", "webgpu"),
        ("cosine-similarity", "webgpu"),
    ],
)
async def test_a_browser_computes_what_onnxruntime_computes_on_the_cpu(
    pool: ResourcePoolServiceAsyncStub, model_name: str, platform: str
) -> None:
    model = catalog().resolve(model_name)
    inputs = model.sample_inputs(2)
    session = InferenceSession(model.path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(names, inputs), strict=True))

    response = await pool.Infer(
        messages.InferRequest(
            model_name=model_name,
            platform=platform_value(platform),
            tensors=[from_array(name, array) for name, array in inputs.items()],
        )
    )

    outputs = to_arrays(list(response.outputs))
    assert set(outputs) == set(expected)
    for name, reference in expected.items():
        worst = np.abs(outputs[name].astype(np.float64) - reference).max()
        assert worst <= RELATIVE_TOLERANCE * np.abs(reference).max(), name
    assert response.run_time_ms > 0
    assert response.engine == "chromium"
    assert response.adapter


async def embeddings(pool: ResourcePoolServiceAsyncStub, model_name: str, texts: list[str]) -> Array:
    request = messages.InferRequest(
        model_name=model_name,
        platform=core_pb2.PLATFORM_WASM,
        items=[messages.InferItem(text=text) for text in texts],
    )
    response = await pool.Infer(request)
    return np.array([result.embedding for result in response.results], np.float32)


@pytest.mark.parametrize("model_name", ["all-minilm-l6-v2", "paraphrase-minilm-l3-v2"])
async def test_paraphrases_are_closer_than_unrelated_sentences(
    pool: ResourcePoolServiceAsyncStub, model_name: str
) -> None:
    vectors = await embeddings(
        pool,
        model_name,
        [
            "The cat sleeps on the warm sofa all afternoon.",
            "All afternoon a kitten is napping on the cosy couch.",
            "The central bank raised interest rates by half a percent.",
        ],
    )
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-3)
    similar, unrelated = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert similar > 0.5
    assert unrelated < 0.2


async def test_a_photograph_of_a_cat_is_seen_as_a_cat(pool: ResourcePoolServiceAsyncStub, photo: bytes) -> None:
    response = await pool.Infer(
        messages.InferRequest(
            model_name="efficientnet-lite0",
            platform=core_pb2.PLATFORM_WASM,
            items=[messages.InferItem(image=photo)],
        )
    )
    best = response.results[0].labels[0]
    assert best.index in {281, 282, 283, 284, 285}, best  # the five domestic cats of ImageNet
    assert "cat" in best.name.lower()
    assert response.weights_origin == core_pb2.WEIGHTS_ORIGIN_PRETRAINED


async def test_speech_is_found_in_a_recording_where_there_is_speech(
    pool: ResourcePoolServiceAsyncStub, speech_wav: bytes
) -> None:
    response = await pool.Infer(
        messages.InferRequest(
            model_name="silero-vad",
            platform=core_pb2.PLATFORM_WASM,
            items=[messages.InferItem(audio=speech_wav)],
        )
    )
    segments = response.results[0].speech_segments
    spoken = sum((each.end.ToTimedelta() - each.start.ToTimedelta()).total_seconds() for each in segments)
    assert segments
    assert spoken > 2.0  # someone reads Beckett for ten seconds


@pytest.mark.parametrize("platform", ["wasm", "webgpu"])
async def test_scores_of_a_search_are_cosines_and_a_row_of_zeros_scores_zero(
    pool: ResourcePoolServiceAsyncStub, platform: str
) -> None:
    rng = np.random.default_rng(3)
    query, matrix = (rng.standard_normal((count, 384), dtype=np.float32) for count in (2, 50))
    matrix[7] = 0
    response = await pool.Infer(
        messages.InferRequest(
            model_name="cosine-similarity",
            platform=platform_value(platform),
            tensors=[from_array("query", query), from_array("matrix", matrix)],
        )
    )
    scores = to_arrays(list(response.outputs))["scores"]
    lengths = np.outer(np.linalg.norm(query, axis=1), np.maximum(np.linalg.norm(matrix, axis=1), 1e-30))
    np.testing.assert_allclose(scores, query @ matrix.T / lengths, atol=1e-5)
    assert (scores[:, 7] == 0).all()
    assert response.weights_origin == core_pb2.WEIGHTS_ORIGIN_NONE
