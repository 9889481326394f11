"""Outputs of a graph to embeddings, classes and stretches of speech."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corun.resource_pool.models.manifest import ClassesOutput, EmbeddingOutput, SpeechOutput
from corun.resource_pool.models.results import LabelScore

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]


def decode_embeddings(output: Array, mask: Array | None, settings: EmbeddingOutput) -> list[tuple[float, ...]]:
    """One embedding of unit length an item, from [batch, sequence, width] or [batch, width].

    `mask` [batch, sequence] says which tokens count; None: all.
    """
    values = output.astype(np.float64)
    if values.ndim == 3 and settings.pooling == "first":
        values = values[:, 0]
    elif values.ndim == 3:
        weights = np.ones(values.shape[:2]) if mask is None else mask.astype(np.float64)
        values = (values * weights[:, :, None]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)[:, None]
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return [tuple(row) for row in (values / np.maximum(lengths, 1e-12)).tolist()]


def decode_classes(output: Array, names: Sequence[str], settings: ClassesOutput) -> list[tuple[LabelScore, ...]]:
    """The most likely classes of each item, best first, from [batch, classes]."""
    scores = output.reshape(len(output), -1).astype(np.float64)
    if settings.logits:
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = raised / raised.sum(axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : settings.top]
    return [
        tuple(LabelScore(_class_name(names, index), index, float(row[index])) for index in order)
        for row, order in zip(scores, best.tolist(), strict=True)
    ]


def decode_speech(
    probabilities: Array, *, frame_seconds: float, settings: SpeechOutput
) -> tuple[tuple[float, float], ...]:
    """Stretches of speech, seconds, from the probability of each frame."""
    values = probabilities.reshape(-1).astype(np.float64)
    found = [
        (start * frame_seconds, end * frame_seconds)
        for start, end in _speech_frames(values, settings, settings.min_silence_seconds / frame_seconds)
        if (end - start) * frame_seconds >= settings.min_speech_seconds
    ]
    total = len(values) * frame_seconds
    padded = []
    for index, (start, end) in enumerate(found):
        # A gap shorter than two pads is shared by its neighbours.
        before = (start - found[index - 1][1]) / 2 if index else start
        after = (found[index + 1][0] - end) / 2 if index + 1 < len(found) else total - end
        padded.append((start - min(settings.pad_seconds, before), end + min(settings.pad_seconds, after)))
    return tuple(padded)


def _speech_frames(values: Floats, settings: SpeechOutput, min_silence_frames: float) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    start = quiet_since = -1
    for index, value in enumerate(values):
        if value >= settings.threshold:
            start = index if start < 0 else start
            quiet_since = -1
        elif start >= 0 and (quiet_since >= 0 or value < settings.exit_threshold):
            quiet_since = index if quiet_since < 0 else quiet_since
            if index - quiet_since >= min_silence_frames and value < settings.exit_threshold:
                found.append((start, quiet_since))
                start = quiet_since = -1
    if start >= 0:
        found.append((start, len(values)))
    return found


def _class_name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else f"class {index}"
