"""Recordings in, stretches of speech out."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from corun.errors import InvalidField
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.models.audio import frames, log_mel_spectrogram, read_wav
from corun.resource_pool.models.decoding import decode_speech
from corun.resource_pool.models.manifest import SpeechOutput
from tests.unit.resource_pool.model_folders import run_on_cpu

Samples = npt.NDArray[np.float32]


def wav(samples: npt.ArrayLike, rate: int = 16_000, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples), rate, subtype=subtype, format=kind)
    return file.getvalue()


def tone(rate: int, *, hertz: float = 440.0, seconds: float = 1.0, channels: int = 1) -> npt.NDArray[np.float64]:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def speech(model: Model, recording: bytes) -> tuple[tuple[float, float], ...]:
    inputs = model.encode([recording])
    model.check_inputs(inputs)
    (result,) = model.decode(run_on_cpu(model.path, inputs), inputs)
    return result.speech


@pytest.fixture
def vad(model_catalog: ModelCatalog) -> Model:
    return model_catalog.resolve("silero-vad")


def test_speech_is_found_where_somebody_speaks(vad: Model, speech_wav: bytes) -> None:
    found = speech(vad, speech_wav)
    assert len(found) >= 3  # phrases with pauses between them
    assert all(start < end for start, end in found)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(found))
    assert 3 < sum(end - start for start, end in found) < 9  # of ten seconds


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_no_speech_is_found_where_nobody_speaks(vad: Model, kind: str) -> None:
    sounds = {
        "silence": np.zeros(48_000),
        "noise": np.random.default_rng(0).normal(0, 0.01, 48_000),
        "tone": tone(16_000, seconds=3)[:, 0],
    }
    assert speech(vad, wav(sounds[kind])) == ()


def test_silence_before_a_recording_moves_its_speech(vad: Model, speech_wav: bytes) -> None:
    samples, rate = soundfile.read(io.BytesIO(speech_wav))
    later = wav(np.concatenate([np.zeros(2 * rate), samples]), rate)
    (first, *_), (moved, *_) = speech(vad, speech_wav), speech(vad, later)
    assert moved[0] - first[0] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)])
def test_a_wav_of_any_rate_depth_and_channels_becomes_one_channel_at_the_models_rate(
    rate: int, channels: int, subtype: str
) -> None:
    samples = read_wav(wav(tone(rate, channels=channels), rate, subtype), rate=16_000, max_seconds=10, field="f")
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(16_000, abs=2)
    spectrum = np.abs(np.fft.rfft(samples[2000:14000]))
    assert np.argmax(spectrum) * 16_000 / 12_000 == pytest.approx(440, abs=2)
    assert np.abs(samples[2000:14000]).max() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a WAV"),
        (b"RIFF\x00\x00\x00\x00WAVE", "not a WAV"),
        (b"a very nice song", "not a WAV"),
        (wav(np.zeros((0, 1))), "empty"),
        (wav(np.zeros(100), kind="FLAC"), "received FLAC"),
        (wav([0.0, np.nan, np.inf], subtype="FLOAT"), "not numbers"),
        (wav(np.zeros(601 * 1000), rate=1000), "too long"),
        (wav(np.zeros(100), rate=10), "sample rate of 10 Hz"),
    ],
    ids=["nothing", "no header", "text", "no samples", "FLAC", "not finite", "long", "slow"],  # files carry the time
)
def test_what_is_not_a_usable_recording_is_named(vad: Model, content: bytes, problem: str) -> None:
    with pytest.raises(InvalidField, match=problem) as raised:
        vad.encode([content])
    assert raised.value.field == "items[0].audio"


def test_one_recording_is_taken_at_a_time(vad: Model) -> None:
    with pytest.raises(InvalidField, match="one recording at a time; received 2"):
        vad.encode([wav(np.zeros(100))] * 2)


def test_frames_begin_with_the_end_of_the_one_before() -> None:
    samples = np.arange(1, 11, dtype=np.float32)
    assert frames(samples, frame=4, context=2).tolist() == [
        [0, 0, 1, 2, 3, 4],
        [3, 4, 5, 6, 7, 8],
        [7, 8, 9, 10, 0, 0],
    ]


def stretches(probabilities: Sequence[float], **settings: float) -> list[tuple[float, float]]:
    plain = {"min_speech_seconds": 0.0, "min_silence_seconds": 2.0, "pad_seconds": 0.0} | settings
    told = SpeechOutput(output="p", **plain)  # type: ignore[arg-type]
    return list(decode_speech(np.array(probabilities), frame_seconds=1.0, settings=told))


def test_speech_goes_on_between_the_two_thresholds() -> None:
    assert stretches([0, 0.6, 0.4, 0.4, 0.4, 0.4, 0.1, 0.1, 0.1]) == [(1, 6)]


def test_a_value_between_the_thresholds_does_not_begin_speech() -> None:
    assert stretches([0.4, 0.4, 0.4]) == []


def test_a_short_pause_does_not_end_speech() -> None:
    assert stretches([0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9]) == [(0, 3), (6, 7)]


def test_short_speech_is_dropped() -> None:
    assert stretches([0.9, 0, 0, 0, 0.9, 0.9, 0.9, 0, 0, 0], min_speech_seconds=2.0) == [(4, 7)]


def test_pads_never_leave_the_recording_nor_overlap() -> None:
    assert stretches([0.9, 0, 0, 0.9], min_silence_seconds=1.0, pad_seconds=5.0) == [(0, 2), (2, 4)]


@given(
    st.lists(st.floats(0, 1), max_size=200),
    st.floats(0, 5),
    st.floats(0, 5),
    st.floats(0, 5),
)
def test_stretches_are_in_order_and_inside_the_recording(
    values: list[float], speech_seconds: float, silence: float, pad: float
) -> None:
    found = stretches(values, min_speech_seconds=speech_seconds, min_silence_seconds=silence, pad_seconds=pad)
    edges = [edge for stretch in found for edge in stretch]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(values) for edge in edges)


def test_a_spectrogram_shows_a_tone_in_its_band() -> None:
    low, high = (
        log_mel_spectrogram(tone(16_000, hertz=hertz, seconds=2)[:, 0].astype(np.float32), mels=80, seconds=2)
        for hertz in (200, 4000)
    )
    assert low.shape == (80, 200)
    # Slaney's scale: 200 Hz is 3 mel of 45.2, 4,000 Hz is 35.2, spread over 81 steps.
    assert np.argmax(low.mean(axis=1)) == pytest.approx(3 / 45.2 * 81 - 1, abs=1.5)
    assert np.argmax(high.mean(axis=1)) == pytest.approx(35.2 / 45.2 * 81 - 1, abs=1.5)
    assert low.max() - low.min() <= 2.0 + 1e-6  # eight decades, scaled by four


def test_a_recording_becomes_the_input_of_whisper(model_catalog: ModelCatalog, speech_wav: bytes) -> None:
    model = model_catalog.resolve("whisper-tiny")
    inputs = model.encode([speech_wav])
    model.check_inputs(inputs)
    assert inputs["input_features"].shape == (1, 80, 3000)
    spoken, silent = inputs["input_features"][0, :, :900], inputs["input_features"][0, :, 1100:]
    assert spoken.mean() > silent.mean()
