"""`model.toml`: what a model folder says of its model beside the graph."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from corun.resource_pool.models.recipe import TOKENS_OUTPUT, Seq2Seq
from corun.resource_pool.models.regular_files import read_regular

MANIFEST_FILE = "model.toml"
_MAX_MANIFEST_BYTES = 64_000

ModelType = Literal["text_embedding", "text_generation", "vision", "audio", "multimodal"]
WeightsOrigin = Literal["PRETRAINED", "SEEDED", "NONE"]
Channels = tuple[float, float, float]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


# A path has up to 4096 bytes.
Line = Annotated[str, Field(max_length=5000), AfterValidator(_printable)]

SampleSizes = Annotated[dict[Line, Annotated[int, Field(ge=1, le=65536)]], Field(max_length=16)]

_strict = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=_strict)
class TextInput:
    """Text through `tokenizer.json` into input_ids, attention_mask and token_type_ids, as far as the graph has them.

    `max_length` is in tokens, special ones included; longer text is cut.
    """

    kind: Literal["text"] = "text"
    max_length: Annotated[int, Field(ge=2, le=65536)] = 512


@dataclass(frozen=True, slots=True, config=_strict)
class ImageInput:
    """An image file into one float tensor [batch, 3, height, width], RGB, `(value / 255 - mean) / std`.

    Attributes:
        size: Height and width of the tensor, pixels.
        fit: `crop` scales the shorter side to `resize` and cuts the middle out, `stretch` ignores the aspect
            ratio, `pad` scales the longer side and fills with black around it, `left` scales the height
            and fills with mid-grey to the right.
        resize: Only for `crop`; 0 means the smaller of `size`.
        interpolation: Of the scaling.
    """

    kind: Literal["image"] = "image"
    size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]] = (224, 224)
    fit: Literal["crop", "stretch", "pad", "left"] = "crop"
    resize: Annotated[int, Field(ge=0, le=8192)] = 0
    interpolation: Literal["bilinear", "bicubic", "area"] = "bilinear"
    mean: Channels = (0.485, 0.456, 0.406)
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (
        0.229,
        0.224,
        0.225,
    )


@dataclass(frozen=True, slots=True, config=_strict)
class FramesInput:
    """A recording into frames [frames, context + frame], each with the end of the frame before it in front.

    Silence stands before the first frame; the other inputs of the graph are recurrent states that start at zero.
    One item of a workload is one second.
    """

    kind: Literal["frames"] = "frames"
    sample_rate: Annotated[int, Field(ge=1000, le=192000)] = 16000
    frame: Annotated[int, Field(ge=1, le=65536)] = 512
    context: Annotated[int, Field(ge=0, le=65536)] = 64
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = 600.0


@dataclass(frozen=True, slots=True, config=_strict)
class LogMelInput:
    """A recording into Whisper's log-mel spectrogram [batch, mels, 100 a second], cut or filled to `seconds`.

    `decoder_start` are the ids that a decoder input of the graph is fed.
    """

    kind: Literal["log_mel"] = "log_mel"
    mels: Annotated[int, Field(ge=1, le=256)] = 80
    seconds: Annotated[int, Field(ge=1, le=120)] = 30
    decoder_start: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(max_length=64)] = ()


@dataclass(frozen=True, slots=True, config=_strict)
class WaveformInput:
    """A recording as its samples [batch, longest], -1 to 1, filled with silence; another input of the graph whose
    name has "mask" in it is one where a recording has samples.

    Attributes:
        min_seconds: Shorter recordings are refused.
        max_seconds: Longer ones are, too.
        sample_seconds: Length of each item of a sample run.
    """

    kind: Literal["waveform"] = "waveform"
    sample_rate: Annotated[int, Field(ge=1000, le=192000)] = 16000
    min_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    sample_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0


@dataclass(frozen=True, slots=True, config=_strict)
class EmbeddingOutput:
    """An embedding a text: the mean of `output` [batch, sequence, width] under the attention mask, the first
    token's, or `output` [batch, width] as it is; scaled to unit length.
    """

    output: str
    kind: Literal["embedding"] = "embedding"
    pooling: Literal["mean", "first", "none"] = "mean"


@dataclass(frozen=True, slots=True, config=_strict)
class ClassesOutput:
    """The `top` most likely classes of `output` [batch, classes], named by `labels.txt`.

    `logits` false: the output holds probabilities already.
    """

    output: str
    kind: Literal["classes"] = "classes"
    top: Annotated[int, Field(ge=1, le=1000)] = 5
    logits: bool = True


@dataclass(frozen=True, slots=True, config=_strict)
class SpeechOutput:
    """Stretches of speech from the probability of each frame in `output` [frames].

    Speech begins at a probability of `threshold` and ends after `min_silence_seconds` below `exit_threshold`;
    what is shorter than `min_speech_seconds` is dropped, what is left grows by `pad_seconds` on both sides.
    """

    output: str
    kind: Literal["speech"] = "speech"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    exit_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.35
    min_speech_seconds: Annotated[float, Field(ge=0)] = 0.25
    min_silence_seconds: Annotated[float, Field(ge=0)] = 0.1
    pad_seconds: Annotated[float, Field(ge=0)] = 0.03


@dataclass(frozen=True, slots=True, config=_strict)
class TranscriptOutput:
    """What was said, from ids in `output` [batch, tokens] by `tokenizer.json`."""

    output: str = TOKENS_OUTPUT
    kind: Literal["transcript"] = "transcript"


Preprocessing = Annotated[
    TextInput | ImageInput | FramesInput | LogMelInput | WaveformInput, Field(discriminator="kind")
]
Postprocessing = Annotated[
    EmbeddingOutput | ClassesOutput | SpeechOutput | TranscriptOutput, Field(discriminator="kind")
]


@dataclass(frozen=True, slots=True, config=_strict)
class Manifest:
    """The whole file. `type` may be left out by a user: it is then guessed from the graph.

    Attributes:
        source: In words: a folder, a package and its version, a repository, a seed.
        license: SPDX identifier.
        sample_sizes: Of free dimensions by their name, for synthetic inputs: what plans and profiles run.
        preprocessing: How text, an image or a recording becomes inputs; without it only raw tensors are taken.
        postprocessing: How outputs are read.
        seq2seq: How the graphs of a model in parts work together; of a single graph there is none.
    """

    type: ModelType | None = None
    weights_origin: WeightsOrigin = "PRETRAINED"
    source: Line = ""
    license: Line = ""
    sample_sizes: SampleSizes = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    postprocessing: Postprocessing | None = None
    seq2seq: Seq2Seq | None = None

    @property
    def accepts(self) -> str:
        """`text`, `image`, `audio`, or nothing but raw tensors: ``""``."""
        if self.preprocessing is None:
            return ""
        return self.preprocessing.kind if self.preprocessing.kind in {"text", "image"} else "audio"


_adapter: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a model folder, or None where it has none.

    Raises:
        ValueError: with what is wrong, where the file is no small file, is not TOML or breaks a rule.
        OSError: when it cannot be read.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        return None
    return _parsed(read_regular(path, max_bytes=_MAX_MANIFEST_BYTES))


@lru_cache(maxsize=1024)  # a model is looked up several times an execution, and its manifest hardly ever changes
def _parsed(content: bytes) -> Manifest:
    try:
        return _adapter.validate_python(tomllib.loads(content.decode()))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{MANIFEST_FILE}: {problems}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{MANIFEST_FILE} is not TOML: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `model.toml` into `folder`, which exists."""
    (folder / MANIFEST_FILE).write_text(_to_toml(_adapter.dump_python(manifest, mode="json")), encoding="utf-8")


def _to_toml(values: dict[str, Any]) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's as well, as long as non-ASCII is left alone.
    plain = {key: value for key, value in values.items() if value is not None and not isinstance(value, dict)}
    lines = [f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    for key, table in values.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{key}]", *_to_toml(table).splitlines()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
