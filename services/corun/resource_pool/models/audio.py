"""WAV recordings to samples and to the tensors that audio models take."""

from __future__ import annotations

import functools
import io

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from corun.errors import InvalidField

Samples = npt.NDArray[np.float32]

_WAV_FORMATS = ("WAV", "WAVEX", "RF64")
_RATES = (1_000, 384_000)

# Whisper's spectrogram, see Radford et al. 2022: 25 ms windows every 10 ms at 16 kHz.
SPECTROGRAM_RATE = 16_000
_WINDOW, _HOP = 400, 160


def read_wav(content: bytes, *, rate: int, max_seconds: float, field: str) -> Samples:
    """Samples [n] of a WAV file, -1 to 1, channels averaged, at `rate`.

    Raises:
        InvalidField: naming `field`, where this is no WAV file, an empty, too long or broken one.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.format not in _WAV_FORMATS:
                raise InvalidField(field, f"a WAV file is needed; received {file.format}")
            if not _RATES[0] <= file.samplerate <= _RATES[1]:
                raise InvalidField(field, f"a sample rate of {file.samplerate} Hz is out of {_RATES}")
            if file.frames > max_seconds * file.samplerate:
                raise InvalidField(
                    field, f"{file.frames / file.samplerate:.0f} s are too long; at most {max_seconds:g} s in one run"
                )
            channels = file.read(dtype="float32", always_2d=True)
            source_rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise InvalidField(field, f"not a WAV file: {error}") from error
    if not len(channels):
        raise InvalidField(field, "the recording is empty")
    if not np.isfinite(channels).all():
        raise InvalidField(field, "the recording holds samples that are not numbers")
    mono: Samples = channels.mean(axis=1, dtype=np.float32)
    if source_rate == rate:
        return mono
    resampled: Samples = soxr.resample(mono, source_rate, rate).astype(np.float32)
    return resampled


def frames(samples: Samples, *, frame: int, context: int) -> Samples:
    """Frames [count, context + frame]: each begins with the last `context` samples of the one before.

    Zeros stand before the first and fill the last.
    """
    count = max(1, -(-len(samples) // frame))
    padded = np.zeros(context + count * frame, dtype=np.float32)
    padded[context : context + len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, context + frame)
    return np.ascontiguousarray(windows[::frame])


def log_mel_spectrogram(samples: Samples, *, mels: int, seconds: int) -> Samples:
    """Whisper's input [mels, seconds * 100] from samples at 16 kHz, cut or filled with silence to `seconds`.

    Power spectrum through a Slaney mel filterbank, log10, limited to 8 decades below the peak, scaled to
    about -1 to 1.
    """
    length = seconds * SPECTROGRAM_RATE
    fitted = np.zeros(length, dtype=np.float32)
    fitted[: min(length, len(samples))] = samples[:length]
    centred = np.pad(fitted, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(centred, _WINDOW)[::_HOP][: length // _HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    power = np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2
    log_mel = np.log10(np.maximum(power @ _mel_filters(mels).T, 1e-10)).T
    limited = np.maximum(log_mel, log_mel.max() - 8.0)
    scaled: Samples = ((limited + 4.0) / 4.0).astype(np.float32)
    return scaled


@functools.cache
def _mel_filters(mels: int) -> npt.NDArray[np.float64]:
    # Slaney's scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above; triangles of equal area.
    step, break_mel, log_step = 200 / 3, 15.0, np.log(6.4) / 27
    points = np.linspace(0.0, break_mel + np.log(SPECTROGRAM_RATE / 2 / 1000) / log_step, mels + 2)
    hertz = np.where(points < break_mel, points * step, 1000 * np.exp(log_step * (points - break_mel)))
    bins = np.fft.rfftfreq(_WINDOW, 1 / SPECTROGRAM_RATE)
    rising = (bins - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    falling = (hertz[2:, None] - bins) / (hertz[2:] - hertz[1:-1])[:, None]
    triangles: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None]
