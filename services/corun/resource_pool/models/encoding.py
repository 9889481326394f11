"""Batches of text, image files or WAV files to the inputs of a graph."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corun.errors import InvalidField, ModelRefused
from corun.resource_pool.models.audio import SPECTROGRAM_RATE, frames, log_mel_spectrogram, read_wav
from corun.resource_pool.models.image import encode_image
from corun.resource_pool.models.manifest import (
    FramesInput,
    ImageInput,
    LogMelInput,
    Manifest,
    TextInput,
    WaveformInput,
)
from corun.resource_pool.models.recipe import token_limits
from corun.resource_pool.models.samples import MAX_INPUT_BYTES, sample_inputs
from corun.resource_pool.models.signature import TensorSpec
from corun.resource_pool.models.text import TOKENIZER_FILE, TextEncoder

Array = npt.NDArray[np.generic]


class Encoder:
    """Encodes as a manifest says. Errors name the item, as in `items[2].image`."""

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        manifest: Manifest,
        inputs: tuple[TensorSpec, ...],
        id_limits: Mapping[str, int],
    ) -> None:
        self._name = name
        self._folder = folder
        self._manifest = manifest
        self._inputs = inputs
        self._id_limits = id_limits

    def encode(self, items: Sequence[str | bytes]) -> dict[str, Array]:
        """All inputs of the graph.

        Raises:
            InvalidField: items of the wrong kind, broken ones, or too many for a graph of fixed batch.
            ModelRefused: where the folder's tokenizer cannot be read, or fails on a text.
        """
        settings = self._manifest.preprocessing
        if settings is None:
            raise InvalidField("items", f"model {self._name!r} takes raw tensors only")
        if not items:
            raise InvalidField("items", "give at least one")
        match settings:
            case TextInput():
                encoded = self._encode_texts(self._texts(items))
                encoded |= self._token_limits([math.inf] * len(items))
            case ImageInput():
                encoded = self._images(self._files(items), settings)
                encoded |= self._token_limits([math.inf] * len(items))
            case FramesInput():
                encoded = self._frames(self._files(items), settings)
            case LogMelInput():
                encoded = self._spectrograms(self._files(items), settings)
            case WaveformInput():
                encoded = self._waveforms(self._files(items), settings)
        first = self._inputs[0]
        if isinstance(first.shape[0], int) and len(encoded[first.name]) != first.shape[0]:
            raise InvalidField("items", f"the graph's batch is fixed at {first.shape[0]}; received {len(items)}")
        return encoded

    def _texts(self, items: Sequence[str | bytes]) -> list[str]:
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) < len(items):
            place = next(index for index, item in enumerate(items) if not isinstance(item, str))
            raise InvalidField(f"items[{place}]", f"model {self._name!r} takes text")
        return texts

    def _files(self, items: Sequence[str | bytes]) -> list[bytes]:
        files = [item for item in items if isinstance(item, bytes)]
        if len(files) < len(items):
            place = next(index for index, item in enumerate(items) if not isinstance(item, bytes))
            raise InvalidField(f"items[{place}]", f"model {self._name!r} takes {self._manifest.accepts}")
        return files

    def _encode_texts(self, texts: Sequence[str]) -> dict[str, Array]:
        try:
            return self._text_encoder.encode(texts, self._inputs)
        except (OSError, ValueError) as error:
            raise ModelRefused(self._name, str(error)) from error

    def _images(self, files: Sequence[bytes], settings: ImageInput) -> dict[str, Array]:
        pixels = [encode_image(file, settings, field=f"items[{index}].image") for index, file in enumerate(files)]
        return {self._inputs[0].name: np.stack(pixels).astype(self._inputs[0].dtype)}

    def _frames(self, files: Sequence[bytes], settings: FramesInput) -> dict[str, Array]:
        if len(files) > 1:
            raise InvalidField("items", f"model {self._name!r} takes one recording at a time; received {len(files)}")
        samples = read_wav(
            files[0], rate=settings.sample_rate, max_seconds=settings.max_seconds, field="items[0].audio"
        )
        size = math.ceil(len(samples) / settings.frame) * (settings.context + settings.frame) * samples.itemsize
        if size > MAX_INPUT_BYTES:
            raise InvalidField(
                "items[0].audio",
                f"the recording makes {size / 1e6:,.0f} MB of frames; at most {MAX_INPUT_BYTES / 1e6:.0f} MB",
            )
        # The other inputs are states, which samples hold at zero.
        encoded = sample_inputs(self._inputs, self._manifest, self._id_limits, 1)
        encoded[self._inputs[0].name] = frames(samples, frame=settings.frame, context=settings.context)
        return encoded

    def _spectrograms(self, files: Sequence[bytes], settings: LogMelInput) -> dict[str, Array]:
        recordings = [
            read_wav(file, rate=SPECTROGRAM_RATE, max_seconds=settings.seconds, field=f"items[{index}].audio")
            for index, file in enumerate(files)
        ]
        spectrograms = [log_mel_spectrogram(each, mels=settings.mels, seconds=settings.seconds) for each in recordings]
        encoded: dict[str, Array] = {self._inputs[0].name: np.stack(spectrograms).astype(self._inputs[0].dtype)}
        for spec in self._inputs[1:]:
            encoded[spec.name] = np.tile(np.array(settings.decoder_start, dtype=spec.dtype), (len(files), 1))
        return encoded | self._token_limits([len(each) / SPECTROGRAM_RATE for each in recordings])

    def _waveforms(self, files: Sequence[bytes], settings: WaveformInput) -> dict[str, Array]:
        rate = settings.sample_rate
        recordings = []
        for index, file in enumerate(files):
            field = f"items[{index}].audio"
            samples = read_wav(file, rate=rate, max_seconds=settings.max_seconds, field=field)
            if len(samples) < settings.min_seconds * rate:
                least = f"{settings.min_seconds:g} s are needed"
                raise InvalidField(field, f"{len(samples) / rate:.3f} s are too short; at least {least}")
            recordings.append(samples)
        shape = (len(recordings), max(len(each) for each in recordings))
        size = math.prod(shape) * sum(spec.dtype.itemsize for spec in self._inputs)
        if size > MAX_INPUT_BYTES:
            raise InvalidField(
                "items",
                f"the recordings make {size / 1e6:,.0f} MB of input; at most {MAX_INPUT_BYTES / 1e6:.0f} MB",
            )
        waveforms, mask = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
        for row, samples in enumerate(recordings):
            waveforms[row, : len(samples)] = samples
            mask[row, : len(samples)] = 1
        encoded = {spec.name: (mask if "mask" in spec.name else waveforms).astype(spec.dtype) for spec in self._inputs}
        return encoded | self._token_limits([len(each) / rate for each in recordings])

    def _token_limits(self, seconds: Sequence[float]) -> dict[str, Array]:
        recipe = self._manifest.seq2seq
        return token_limits([recipe.most_tokens(each) for each in seconds]) if recipe else {}

    @functools.cached_property
    def _text_encoder(self) -> TextEncoder:
        settings = self._manifest.preprocessing
        max_length = settings.max_length if isinstance(settings, TextInput) else TextInput().max_length
        return TextEncoder(self._folder / TOKENIZER_FILE, max_length=max_length)
