"""Real inputs that tests of every kind may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import skimage
from hypothesis import settings

from corun.plumbing.settings import cache_folder
from corun.resource_pool.models.sources.moonshine import MOONSHINE_WHEEL
from corun.resource_pool.models.sources.wheels import WheelStore

# Behaviour is judged here, not speed: the machine may be busy.
settings.register_profile("corun", deadline=None)
settings.load_profile("corun")
# So are values: a measurement need not wait until a new browser is at its best.
os.environ.setdefault("CORUN_RESOURCE_POOL_SETTLE_SECONDS", "0")


def _picture(name: str) -> bytes:
    return (Path(skimage.__file__).parent / "data" / name).read_bytes()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A photograph of a cat, PNG (CC0, by Stéfan van der Walt)."""
    return _picture("chelsea.png")


@pytest.fixture(scope="session")
def coffee_photo() -> bytes:
    """A photograph of a cup of espresso, PNG (CC0, by Rachel Michetti)."""
    return _picture("coffee.png")


@pytest.fixture(scope="session")
def speech_wav() -> bytes:
    """Somebody reading Beckett's Worstward Ho, ten seconds at 16 kHz, WAV (MIT, from the package moonshine-voice)."""
    return _recording("beckett.wav")


@pytest.fixture(scope="session")
def long_speech_wav() -> bytes:
    """The beginning of A Tale of Two Cities read, 44 seconds at 48 kHz, WAV (MIT, from the same package)."""
    return _recording("two_cities.wav")


def _recording(name: str) -> bytes:
    files = WheelStore(cache_folder() / "models" / ".packages").files(MOONSHINE_WHEEL)
    return next(file for file in files if file.name.endswith(name)).read_bytes()
