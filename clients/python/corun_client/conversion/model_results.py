"""What a model gave back, as the guide's dict."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from corun_client.conversion.fallbacks import FallbackReport
from corun_client.conversion.inference import Inference, LabelReport
from corun_client.conversion.sharing import SharedTensorReport
from corun_client.conversion.tensors import Array

Embeddings = npt.NDArray[np.float32]

# Outputs that are one vector an item by themselves.
_VECTORS = ("sentence_embedding", "pooler_output", "text_embeds", "image_embeds")
_HIDDEN = "last_hidden_state"
_MASK = "attention_mask"


class _Result(TypedDict):
    model_name: str
    outputs: Mapping[str, Array]
    run_time_ms: float
    platform: str
    engine: str
    adapter: str
    software_adapter: bool
    weights_origin: str
    boundary_bytes: int
    zero_copy: bool
    kept: list[SharedTensorReport]
    fallback: FallbackReport | None


class ModelResult(_Result, total=False):
    """What a model gave back. Keys that the model says nothing to are absent.

    `outputs` are the graph's, by name; `embeddings` float32 [items, width], each of unit length; `labels`,
    `speech_segments` ([start, end] in seconds) and `transcripts` one entry an item.
    """

    embeddings: Embeddings
    labels: list[list[LabelReport]]
    speech_segments: list[list[list[float]]]
    transcripts: list[str]


def model_result(
    answer: Inference,
    *,
    model_name: str,
    model_type: str,
    platform: str,
    tensors: Mapping[str, object] | None,
    shared: Collection[str],
) -> ModelResult:
    """The guide's dict for one run.

    Args:
        answer: Of the pool.
        model_name: The model.
        model_type: Its full type.
        platform: Where it ran.
        tensors: Arrays that went in, or None where items did.
        shared: Inputs that were shared tensors.
    """
    result: ModelResult = {
        "model_name": model_name,
        "outputs": answer.outputs,
        "run_time_ms": answer.run_time_ms,
        "platform": platform,
        "engine": answer.engine,
        "adapter": answer.adapter,
        "software_adapter": answer.software_adapter,
        "weights_origin": answer.weights_origin,
        "boundary_bytes": answer.boundary_bytes,
        "zero_copy": answer.zero_copy,
        "kept": list(answer.kept),
        "fallback": answer.fallback,
    }
    embeddings = _embeddings(answer, model_type, tensors, shared)
    if embeddings is not None:
        result["embeddings"] = embeddings
    if any("labels" in item for item in answer.items):
        result["labels"] = [item.get("labels", []) for item in answer.items]
    if any("speech_segments" in item for item in answer.items):
        result["speech_segments"] = [item.get("speech_segments", []) for item in answer.items]
    if any("transcript" in item for item in answer.items):
        result["transcripts"] = [item.get("transcript", "") for item in answer.items]
    return result


def _embeddings(
    answer: Inference, model_type: str, tensors: Mapping[str, object] | None, shared: Collection[str]
) -> Embeddings | None:
    """One vector an item: the one that the model folder declares, or the one that its outputs hold by convention.

    Tokens are averaged only where it is known which of them count.
    """
    declared = [item["embedding"] for item in answer.items if "embedding" in item]
    if declared and len(declared) == len(answer.items):
        return np.array(declared, dtype=np.float32)
    for name in _VECTORS:
        vectors = answer.outputs.get(name)
        if vectors is not None and vectors.ndim == 2:
            return _unit(vectors.astype(np.float64))
    hidden = answer.outputs.get(_HIDDEN)
    if hidden is None or hidden.ndim != 3:
        return None
    if model_type == "vision":
        return _unit(hidden[:, 0].astype(np.float64))  # the class token
    if model_type != "text_embedding" or tensors is None or _MASK in shared:
        return None
    mask = np.asarray(tensors.get(_MASK, np.ones(hidden.shape[:2])), dtype=np.float64)
    weights = mask[:, :, None]
    return _unit((hidden.astype(np.float64) * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9))


def _unit(vectors: npt.NDArray[np.float64]) -> Embeddings:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
