"""A model that is on this machine, checked, and ready for a browser."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corun.errors import ModelRefused
from corun.resource_pool.models.decoding import decode_classes, decode_embeddings, decode_speech
from corun.resource_pool.models.encoding import Encoder
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.files import ModelFile
from corun.resource_pool.models.guessing import guess_type
from corun.resource_pool.models.input_check import check_inputs, check_sequences
from corun.resource_pool.models.manifest import (
    ClassesOutput,
    EmbeddingOutput,
    FramesInput,
    Manifest,
    SpeechOutput,
    TranscriptOutput,
)
from corun.resource_pool.models.recipe import lane_recipe, limit_specs, token_limits
from corun.resource_pool.models.regular_files import file_stamp
from corun.resource_pool.models.results import ItemResult
from corun.resource_pool.models.samples import sample_inputs
from corun.resource_pool.models.text import TOKENIZER_FILE, TextDecoder

Array = npt.NDArray[np.generic]


class Model:
    """A model folder that was found good. Safe to use from several threads.

    Attributes:
        name: As listed.
        model_type: text_embedding, text_generation, vision, audio or multimodal.
        weights_origin: PRETRAINED, SEEDED or NONE.
        source: In words.
        license: SPDX identifier, or empty.
        files: What lanes load, by part: `model`, or `encoder` and `decoder`.
        recipe: How a lane makes a sequence with a model in parts; None where there is one graph.
        path: The first of the files.
        sha256: Of the file, lower-case hexadecimal; of a model in parts, of their digests.
        size_bytes: Of all files.
        inputs: Of the graph; of a model in parts, the encoder's and how many tokens there may be.
        outputs: Of the graph; of a model in parts, the tokens.
        features: Of the graph; of a model in parts, of a whole sample run.
        accepts: text, image, audio, or empty where only raw tensors are taken.
    """

    def __init__(
        self,
        *,
        name: str,
        paths: Sequence[Path],
        stamps: Sequence[str],
        manifest: Manifest,
        facts: Facts,
        labels: Sequence[str],
    ) -> None:
        self.name = name
        self.path = paths[0]
        self.files = {
            path.stem: ModelFile(path, digest) for path, digest in zip(paths, facts.file_digests, strict=True)
        }
        self._stamps = dict(zip(paths, stamps, strict=True))
        self.model_type: str = manifest.type or guess_type(facts)
        self.weights_origin: str = manifest.weights_origin
        self.source = manifest.source
        self.license = manifest.license
        self.accepts = manifest.accepts
        self.sha256 = facts.sha256
        self.size_bytes = facts.size_bytes
        self.inputs = facts.inputs
        self.recipe: dict[str, Any] | None = None
        if manifest.seq2seq is not None:
            self.inputs += limit_specs(facts.inputs[0].shape[0])
            self.recipe = lane_recipe(manifest.seq2seq, facts.cache)
        self.outputs = facts.outputs
        self.features = facts.features
        self._manifest = manifest
        self._labels = labels
        self._graph_inputs = facts.inputs
        self._id_limits = facts.id_limits
        self._encoder = Encoder(
            name=name, folder=self.path.parent, manifest=manifest, inputs=facts.inputs, id_limits=facts.id_limits
        )

    def __repr__(self) -> str:
        return f"<Model {self.name} {self.weights_origin} {self.size_bytes / 1e6:.1f} MB {self.sha256[:12]}>"

    def check_unchanged(self) -> None:
        """Returns when every file is still the one that was checked.

        Raises:
            ModelRefused: one is another by now, or gone.
        """
        for path, stamp in self._stamps.items():
            try:
                same = file_stamp(path) == stamp
            except OSError as error:
                raise ModelRefused(self.name, f"{path.name} is gone: {error}") from error
            if not same:
                raise ModelRefused(
                    self.name, f"{path.name} changed after it was checked; try again, and it is checked again"
                )

    def sample_inputs(self, batch_size: int) -> dict[str, Array]:
        """Synthetic inputs of realistic sizes, the same every time: sequences of 128 tokens, whole images, a second
        of sound an item, or an utterance where the model transcribes: then with a fixed count of tokens.

        Raises:
            InvalidField: `batch_size`, where the graph's batch is fixed at another size.
        """
        samples = sample_inputs(self._graph_inputs, self._manifest, self._id_limits, batch_size)
        recipe = self._manifest.seq2seq
        if recipe is None:
            return samples
        tokens = [recipe.sample_tokens] * batch_size
        return samples | token_limits(tokens, least=tokens)

    @property
    def fixed_batch(self) -> int | None:
        """Items in one inference where the graph allows no other number; None where it does."""
        first = self.inputs[0].shape[0] if self.inputs[0].shape else 1
        return first if isinstance(first, int) else None

    @property
    def batches_items(self) -> bool:
        """True where several items may be stacked into one inference."""
        return self.fixed_batch is None and not isinstance(self._manifest.preprocessing, FramesInput)

    def check_inputs(self, tensors: Mapping[str, Array]) -> None:
        """Returns when the graph can be fed with `tensors`.

        Raises:
            InvalidField: naming the tensor by its place, for names, types, shapes and ids that do not fit.
        """
        check_inputs(tensors, self.inputs, self._id_limits)
        if self._manifest.seq2seq is not None:
            check_sequences(tensors, self._manifest.seq2seq, self._manifest.preprocessing)

    def encode(self, items: Sequence[str | bytes]) -> dict[str, Array]:
        """One batch of text, image files or WAV files as inputs of the graph.

        Raises:
            InvalidField: naming the item.
            ModelRefused: where the model folder's tokenizer cannot be read.
        """
        return self._encoder.encode(items)

    def can_decode(self, outputs: Mapping[str, Array]) -> bool:
        """True where the outputs that readings are made of are all there."""
        settings = self._manifest.postprocessing
        return settings is None or settings.output in outputs

    def decode(self, outputs: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[ItemResult]:
        """One reading an item of the batch; empty readings where the model folder does not say how.

        Raises:
            KeyError: where the output that is to be read is not among `outputs`.
            ModelRefused: where the model folder's tokenizer cannot be read, or fails on the tokens.
        """
        settings, recipe = self._manifest.postprocessing, self._manifest.seq2seq
        match settings:
            case EmbeddingOutput():
                embeddings = decode_embeddings(outputs[settings.output], inputs.get("attention_mask"), settings)
                return [ItemResult(embedding=each) for each in embeddings]
            case ClassesOutput():
                labels = decode_classes(outputs[settings.output], self._labels, settings)
                return [ItemResult(labels=each) for each in labels]
            case SpeechOutput():
                seconds = self._frame_seconds
                return [
                    ItemResult(speech=decode_speech(outputs[settings.output], frame_seconds=seconds, settings=settings))
                ]
            case TranscriptOutput() if recipe is not None:
                texts = self._transcribe(outputs[settings.output], recipe.end)
                return [ItemResult(transcript=each) for each in texts]
        single = isinstance(self._manifest.preprocessing, FramesInput)
        return [ItemResult()] * (1 if single else len(inputs[self.inputs[0].name]))

    @property
    def _frame_seconds(self) -> float:
        settings = self._manifest.preprocessing
        return settings.frame / settings.sample_rate if isinstance(settings, FramesInput) else 1.0

    def _transcribe(self, tokens: Array, end: int) -> list[str]:
        try:
            return self._text_decoder.decode(tokens, end=end)
        except (OSError, ValueError) as error:
            raise ModelRefused(self.name, str(error)) from error

    @functools.cached_property
    def _text_decoder(self) -> TextDecoder:
        return TextDecoder(self.path.with_name(TOKENIZER_FILE))
