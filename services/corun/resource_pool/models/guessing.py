"""Fills in what a `model.toml` leaves open, from the names and shapes of the graph's inputs and outputs.

Nothing is guessed about pixels and sound: a wrong scale gives wrong numbers that look right.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from corun.errors import ModelRefused
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.labels import LABELS_FILE
from corun.resource_pool.models.manifest import (
    ClassesOutput,
    EmbeddingOutput,
    Manifest,
    ModelType,
    Postprocessing,
    TextInput,
    TranscriptOutput,
)
from corun.resource_pool.models.signature import TensorSpec
from corun.resource_pool.models.text import TOKENIZER_FILE, TextEncoder


def complete_manifest(manifest: Manifest, facts: Facts, folder: Path, *, name: str) -> Manifest:
    """`manifest` with its type, and its reading of text and of well-known outputs, filled in where absent.

    Raises:
        ModelRefused: where the manifest speaks of an output or a tokenizer that is not there.
    """
    has_tokenizer = (folder / TOKENIZER_FILE).is_file()
    before, after = manifest.preprocessing, manifest.postprocessing
    if isinstance(before, TextInput) and not (has_tokenizer and TextEncoder.fits(facts.inputs)):
        raise ModelRefused(name, f"text needs {TOKENIZER_FILE} beside the model and inputs that it can give")
    if before is None and has_tokenizer and TextEncoder.fits(facts.inputs):
        before = TextInput()
    if after is not None and after.output not in {spec.name for spec in facts.outputs}:
        raise ModelRefused(name, f"model.toml reads output {after.output!r}, which the graph does not have")
    if isinstance(after, TranscriptOutput) and not (manifest.seq2seq and has_tokenizer):
        raise ModelRefused(name, f"a transcript needs {TOKENIZER_FILE} and a table [seq2seq]")
    if after is None and manifest.seq2seq and has_tokenizer and manifest.accepts == "audio":
        after = TranscriptOutput()
    if after is None:
        after = _guess_reading(facts.outputs, text=isinstance(before, TextInput), folder=folder)
    return dataclasses.replace(
        manifest, type=manifest.type or guess_type(facts), preprocessing=before, postprocessing=after
    )


def guess_type(facts: Facts) -> ModelType:
    """The most likely type by what goes in, and for text by whether the outputs rank words."""
    names = {spec.name for spec in facts.inputs}
    text = any("input_ids" in name for name in names)
    image = any("pixel" in name or (len(spec.shape) == 4 and spec.shape[1] in (1, 3)) for name, spec in _named(facts))
    audio = any(
        word in name for name in names for word in ("input_features", "audio", "wav", "speech", "mel", "input_values")
    )
    if audio:
        return "audio"
    if image:
        return "multimodal" if text else "vision"
    ranks_words = any(spec.name == "logits" and len(spec.shape) == 3 for spec in facts.outputs)
    return "text_generation" if text and ranks_words else "text_embedding"


def _guess_reading(outputs: tuple[TensorSpec, ...], *, text: bool, folder: Path) -> Postprocessing | None:
    ranks = {spec.name: len(spec.shape) for spec in outputs}
    if text and ranks.get("sentence_embedding") == 2:
        return EmbeddingOutput(output="sentence_embedding", pooling="none")
    if text and ranks.get("last_hidden_state") == 3:
        return EmbeddingOutput(output="last_hidden_state")
    if ranks.get("logits") == 2 and (folder / LABELS_FILE).is_file():
        return ClassesOutput(output="logits")
    return None


def _named(facts: Facts) -> list[tuple[str, TensorSpec]]:
    return [(spec.name, spec) for spec in facts.inputs]
