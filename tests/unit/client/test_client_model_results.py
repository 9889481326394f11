"""What a model handle gives back: embeddings only where they are honest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from corun_client.conversion.inference import Inference, ItemReport
from corun_client.conversion.model_results import ModelResult, model_result
from corun_client.conversion.tensors import Array


def result(
    outputs: Mapping[str, Array],
    *,
    model_type: str = "text_embedding",
    items: Sequence[ItemReport] = (),
    tensors: Mapping[str, object] | None = None,
    shared: tuple[str, ...] = (),
) -> ModelResult:
    answer = Inference(
        outputs=outputs,
        items=items,
        run_time_ms=1.0,
        engine="chromium",
        adapter="CPU",
        software_adapter=False,
        connection_id="c-1",
        weights_origin="SEEDED",
        boundary_bytes=10,
        zero_copy=False,
        kept=(),
        fallback=None,
    )
    return model_result(answer, model_name="m", model_type=model_type, platform="wasm", tensors=tensors, shared=shared)


HIDDEN = np.array([[[3.0, 4.0], [0.0, 9.0]]], dtype=np.float32)


def test_a_declared_embedding_is_taken_as_it_is() -> None:
    found = result({"last_hidden_state": HIDDEN}, items=[{"embedding": [0.6, 0.8]}])
    assert found["embeddings"].dtype == np.float32
    np.testing.assert_allclose(found["embeddings"], [[0.6, 0.8]], rtol=1e-6)


def test_tokens_are_averaged_under_the_mask_and_scaled_to_unit_length() -> None:
    tensors = {"attention_mask": np.array([[1, 0]])}
    # Only the first token counts: (3, 4) has length 5.
    np.testing.assert_allclose(
        result({"last_hidden_state": HIDDEN}, tensors=tensors)["embeddings"], [[0.6, 0.8]], rtol=1e-6
    )
    # Without a mask both do: (3, 13) / 2.
    unmasked = result({"last_hidden_state": HIDDEN}, tensors={})["embeddings"]
    np.testing.assert_allclose(unmasked, np.array([[3.0, 13.0]]) / np.hypot(3, 13), rtol=1e-6)


def test_the_class_token_stands_for_an_image() -> None:
    found = result({"last_hidden_state": HIDDEN}, model_type="vision", items=[{}])
    np.testing.assert_allclose(found["embeddings"], [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("name", ["pooler_output", "image_embeds", "sentence_embedding"])
def test_an_output_that_is_a_vector_by_its_name_is_the_embedding(name: str) -> None:
    np.testing.assert_allclose(
        result({name: np.array([[6.0, 8.0]])}, model_type="vision")["embeddings"], [[0.6, 0.8]], rtol=1e-6
    )


@pytest.mark.parametrize(
    "found",
    [
        result({"logits": HIDDEN[0]}, model_type="vision", items=[{}]),
        result({"last_hidden_state": HIDDEN}, items=[{}]),  # which tokens count is not known here
        result({"last_hidden_state": HIDDEN}, tensors={}, shared=("attention_mask",)),
        result({"last_hidden_state": HIDDEN}, model_type="audio", tensors={}),
        result({}),
    ],
)
def test_where_no_vector_is_honest_there_is_no_key(found: ModelResult) -> None:
    assert "embeddings" not in found


def test_labels_segments_and_transcripts_come_one_an_item_and_only_where_there_are_some() -> None:
    items: list[ItemReport] = [{"labels": [{"name": "cat", "index": 3, "score": 0.5}]}, {}]
    assert result({}, items=items)["labels"] == [[{"name": "cat", "index": 3, "score": 0.5}], []]
    assert result({}, items=[{"transcript": "hello"}])["transcripts"] == ["hello"]
    assert result({}, items=[{"speech_segments": [[0.5, 1.0]]}])["speech_segments"] == [[[0.5, 1.0]]]
    assert {"labels", "transcripts", "speech_segments"}.isdisjoint(result({}))
