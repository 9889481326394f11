"""Real inputs that tests of every kind may use."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage

from corun.plumbing.settings import cache_folder
from corun.resource_pool.models.sources.wheels import Member, Wheel, WheelStore

# A reading of Beckett's, ten seconds at 16 kHz, that comes with the package (MIT).
_RECORDING = Wheel(
    "moonshine-voice",
    "0.0.49",
    (Member("moonshine_voice/assets/beckett.wav", "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61"),),
)


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
    """A WAV recording of somebody speaking."""
    return WheelStore(cache_folder() / "models" / ".packages").files(_RECORDING)[0].read_bytes()
