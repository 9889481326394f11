"""The speech recogniser that comes as a package, on onnxruntime."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession
from tokenizers import Tokenizer

from corun.errors import InvalidField
from corun.plumbing.settings import cache_folder
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.models.sources.moonshine import (
    EXAMPLE_RECORDING,
    EXAMPLE_TRANSCRIPT,
    MOONSHINE_WHEEL,
    read_vocabulary,
    tokenizer_of,
)
from corun.resource_pool.models.sources.ort_format import convert_ort_file
from corun.resource_pool.models.sources.wheels import WheelStore
from tests.speech import NativeMoonshine, word_error_rate
from tests.unit.resource_pool.test_model_audio import wav

TALE = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of
darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing
before us, we were all going direct to heaven, we were all going direct the other way."""


@pytest.fixture(scope="module")
def moonshine(model_catalog: ModelCatalog) -> Model:
    return model_catalog.resolve("moonshine-tiny")


def beginning(recording: bytes, seconds: float) -> bytes:
    samples, rate = soundfile.read(io.BytesIO(recording), dtype="float32")
    return wav(samples[: int(seconds * rate)], rate=rate)


def test_a_recording_of_ten_seconds_is_transcribed(moonshine: Model) -> None:
    folder = moonshine.path.parent
    inputs = moonshine.encode([(folder / EXAMPLE_RECORDING).read_bytes()])
    tokens = np.array(NativeMoonshine(moonshine).tokens(inputs))
    (result,) = moonshine.decode({"tokens": tokens}, inputs)
    assert word_error_rate(result.transcript, (folder / EXAMPLE_TRANSCRIPT).read_text()) == 0


def test_a_recording_as_long_as_may_be_is_transcribed_until_it_is_cut(moonshine: Model, long_speech_wav: bytes) -> None:
    inputs = moonshine.encode([beginning(long_speech_wav, 30)])
    assert inputs["max_tokens"].tolist() == [194]
    tokens = np.array(NativeMoonshine(moonshine).tokens(inputs))
    (result,) = moonshine.decode({"tokens": tokens}, inputs)
    assert word_error_rate(result.transcript, TALE) < 0.05  # the cut leaves the beginning of another sentence


def test_a_recording_too_long_for_the_model_is_refused_by_item(
    moonshine: Model, speech_wav: bytes, long_speech_wav: bytes
) -> None:
    with pytest.raises(InvalidField, match="44 s are too long; at most 30 s") as raised:
        moonshine.encode([speech_wav, long_speech_wav])
    assert raised.value.field == "items[1].audio"


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_converted_graph_computes_the_same_to_the_last_bit(tmp_path: Path, moonshine: Model, part: str) -> None:
    files = WheelStore(cache_folder() / "models" / ".packages").files(MOONSHINE_WHEEL)
    original = tmp_path / "original.ort"
    original.write_bytes(files[["encoder", "decoder"].index(part)].read_bytes())
    sessions = [
        InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (original, moonshine.files[part].path)
    ]
    feeds = first_step() if part == "decoder" else moonshine.sample_inputs(1)
    wanted = {each.name for each in sessions[0].get_inputs()}
    expected, found = (
        session.run(None, {name: array for name, array in feeds.items() if name in wanted}) for session in sessions
    )
    assert all(np.array_equal(np.asarray(one), np.asarray(other)) for one, other in zip(expected, found, strict=True))


def first_step() -> dict[str, npt.NDArray[np.generic]]:
    names = [f"past_key_values.{layer}.{kind}" for layer in range(6) for kind in ("decoder", "encoder")]
    past = {f"{name}.{what}": np.zeros((1, 8, 0, 36), np.float32) for name in names for what in ("key", "value")}
    return {
        **past,
        "input_ids": np.array([[1]], np.int64),
        "encoder_hidden_states": np.random.default_rng(0).standard_normal((1, 40, 288), dtype=np.float32),
        "encoder_attention_mask": np.ones((1, 16_000), np.int64),
        "use_cache_branch": np.array([False]),
    }


def test_a_file_that_onnxruntime_cannot_read_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "graph.ort").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match=r"graph\.ort is not a graph"):
        convert_ort_file(tmp_path / "graph.ort", tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()


def test_a_vocabulary_decodes_words_bytes_and_no_special_tokens() -> None:
    words = [b"<unk>", b"<s>", b"</s>", *(bytes([each]) for each in range(256)), b"\xe2\x96\x81Hi", b"!", b"<<ST_0>>"]
    content = b"".join(bytes([len(word)]) + word for word in words)
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_of(list(read_vocabulary(content)))))
    euro = [3 + each for each in "€".encode()]
    assert tokenizer.decode([1, 259, 260, 261, 259, *euro, 2]) == " Hi! Hi€"


@pytest.mark.parametrize("content", [b"\x03ab", b"\x02ab\x01", b"\xffab"])
def test_a_vocabulary_that_is_cut_short_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="vocabulary cannot be read"):
        list(read_vocabulary(content))
