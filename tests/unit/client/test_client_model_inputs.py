"""What a model handle takes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corun_client.conversion.model_inputs import model_inputs
from corun_client.errors import InvalidArgument


def given(value: object, accepts: str) -> object:
    return model_inputs(value, accepts=accepts, model_name="a-model")


def picture(mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (3, 2), color=1)


def test_one_text_is_a_batch_of_one() -> None:
    assert given("hello", "text") == {"texts": ["hello"]}
    assert given(["a", "b"], "text") == {"texts": ["a", "b"]}


def test_arrays_by_name_are_tensors_whatever_the_model_takes() -> None:
    arrays = {"x": np.zeros(1)}
    for accepts in ("text", "image", "audio", ""):
        assert given(arrays, accepts) == {"tensors": arrays}


def test_nothing_is_given_where_all_inputs_are_shared() -> None:
    assert given(None, "text") == {}


def test_files_are_read_and_bytes_are_taken_as_files(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF")
    assert given([path, str(path), b"RIFF", bytearray(b"RIFF"), memoryview(b"RIFF")], "audio") == {
        "audio": [b"RIFF"] * 5
    }
    assert given(path, "image") == {"images": [b"RIFF"]}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "HSV", "I", "F"])
def test_a_pil_image_of_any_kind_becomes_an_image_file_of_its_size(mode: str) -> None:
    found = model_inputs(picture(mode), accepts="image", model_name="a-model")["images"]
    assert Image.open(io.BytesIO(found[0])).size == (3, 2)


@pytest.mark.parametrize(
    ("value", "accepts", "message"),
    [
        ("text", "", "^inputs: a-model takes a dict of numpy arrays by input name only; received 'text'"),
        ([], "text", r"^inputs: a-model takes a str or a list of them; received \[\]"),
        (3, "text", "^inputs: .*received int"),
        (["a", b"b"], "text", r"^inputs\[1\]: .*received bytes"),
        (np.zeros(2), "image", "^inputs: a-model takes image files .*received ndarray"),
        ("/nowhere/cat.png", "image", "^inputs: '/nowhere/cat.png' cannot be read"),
        ("a\0b", "audio", "^inputs: .*cannot be read"),
        ([picture()], "audio", r"^inputs\[0\]: a-model takes WAV files"),
    ],
)
def test_what_a_model_does_not_take_is_refused_with_what_it_takes(value: object, accepts: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        given(value, accepts)
