"""A model that is on this machine, checked, and ready for a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corun.errors import ModelRefused
from corun.resource_pool.models.decoding import decode_classes, decode_embeddings, decode_speech
from corun.resource_pool.models.encoding import Encoder
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.guessing import guess_type
from corun.resource_pool.models.input_check import check_inputs
from corun.resource_pool.models.manifest import ClassesOutput, EmbeddingOutput, FramesInput, Manifest, SpeechOutput
from corun.resource_pool.models.regular_files import file_stamp
from corun.resource_pool.models.results import ItemResult
from corun.resource_pool.models.samples import sample_inputs

Array = npt.NDArray[np.generic]


class Model:
    """A model folder that was found good. Safe to use from several threads.

    Attributes:
        name: As listed.
        model_type: text_embedding, text_generation, vision, audio or multimodal.
        weights_origin: PRETRAINED, SEEDED or NONE.
        source: In words.
        license: SPDX identifier, or empty.
        path: The ONNX file.
        sha256: Of the file, lower-case hexadecimal.
        size_bytes: Of the file.
        inputs: Of the graph.
        outputs: Of the graph.
        features: Of the graph.
        accepts: text, image, audio, or empty where only raw tensors are taken.
    """

    def __init__(
        self, *, name: str, path: Path, stamp: str, manifest: Manifest, facts: Facts, labels: Sequence[str]
    ) -> None:
        self.name = name
        self.path = path
        self._stamp = stamp
        self.model_type: str = manifest.type or guess_type(facts)
        self.weights_origin: str = manifest.weights_origin
        self.source = manifest.source
        self.license = manifest.license
        self.accepts = manifest.accepts
        self.sha256 = facts.sha256
        self.size_bytes = facts.size_bytes
        self.inputs = facts.inputs
        self.outputs = facts.outputs
        self.features = facts.features
        self._manifest = manifest
        self._labels = labels
        self._id_limits = facts.id_limits
        self._encoder = Encoder(
            name=name, folder=path.parent, manifest=manifest, inputs=facts.inputs, id_limits=facts.id_limits
        )

    def __repr__(self) -> str:
        return f"<Model {self.name} {self.weights_origin} {self.size_bytes / 1e6:.1f} MB {self.sha256[:12]}>"

    def check_unchanged(self) -> None:
        """Returns when the file is still the one that was checked.

        Raises:
            ModelRefused: it is another by now, or gone.
        """
        try:
            if file_stamp(self.path) == self._stamp:
                return
        except OSError as error:
            raise ModelRefused(self.name, f"its file is gone: {error}") from error
        raise ModelRefused(self.name, "its file changed after it was checked; try again, and it is checked again")

    def sample_inputs(self, batch_size: int) -> dict[str, Array]:
        """Synthetic inputs of realistic sizes, the same every time: sequences of 128 tokens, whole images, a second
        of sound an item.

        Raises:
            InvalidField: `batch_size`, where the graph's batch is fixed at another size.
        """
        return sample_inputs(self.inputs, self._manifest, self._id_limits, batch_size)

    def check_inputs(self, tensors: Mapping[str, Array]) -> None:
        """Returns when the graph can be fed with `tensors`.

        Raises:
            InvalidField: naming the tensor by its place, for names, types, shapes and ids that do not fit.
        """
        check_inputs(tensors, self.inputs, self._id_limits)

    def encode(self, items: Sequence[str | bytes]) -> dict[str, Array]:
        """One batch of text, image files or WAV files as inputs of the graph.

        Raises:
            InvalidField: naming the item.
            ModelRefused: where the model folder's tokenizer cannot be read.
        """
        return self._encoder.encode(items)

    def decode(self, outputs: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[ItemResult]:
        """One reading an item of the batch; empty readings where the model folder does not say how.

        Raises:
            KeyError: where the output that is to be read is not among `outputs`.
        """
        settings = self._manifest.postprocessing
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
        single = isinstance(self._manifest.preprocessing, FramesInput)
        return [ItemResult()] * (1 if single else len(inputs[self.inputs[0].name]))

    @property
    def _frame_seconds(self) -> float:
        settings = self._manifest.preprocessing
        return settings.frame / settings.sample_rate if isinstance(settings, FramesInput) else 1.0
