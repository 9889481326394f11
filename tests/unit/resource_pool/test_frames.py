"""Tensors survive the binary frames, and nonsense is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corun.resource_pool.browser.frames import TENSOR_TYPES, Frame, FrameReader, Message, encode

Array = npt.NDArray[Any]

# Larger tensors are messages of their own.
INLINE_BYTES = 65_536

shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0)
tensors = st.sampled_from(TENSOR_TYPES).flatmap(lambda name: arrays.arrays(np.dtype(name), shapes))


def read(reader: FrameReader, messages: list[Message]) -> Frame:
    *before, last = [bytes(message) for message in messages]
    for message in before:
        assert reader.feed(message) is None
    frame = reader.feed(last)
    assert frame is not None
    return frame


def assert_same(received: Mapping[str, Array], sent: Mapping[str, Array]) -> None:
    """Bit by bit: that a NaN is not equal to itself does not matter."""
    assert set(received) == set(sent)
    for name, tensor in sent.items():
        assert received[name].dtype == tensor.dtype
        assert received[name].shape == tensor.shape
        assert received[name].tobytes() == tensor.tobytes()


def large(data_type: str, excess: int = 1) -> Array:
    """A tensor that is a message of its own, with all bit patterns in it."""
    count = INLINE_BYTES // np.dtype(data_type).itemsize + excess
    values: Array = np.random.default_rng(3).integers(0, 256, count * np.dtype(data_type).itemsize, np.uint8)
    return values.view(data_type) if data_type != "bool" else values[:count] % 2 == 0


@given(st.dictionaries(st.text(min_size=1, max_size=8), tensors, max_size=4))
@example({"nan": np.full((2, 2), np.nan, np.float32), "scalar": np.array(7, np.int64)})
@example({"empty": np.zeros((0, 3), np.float16), "after": np.array([True, False])})
@example({name: large(name) for name in TENSOR_TYPES})
@example({"small": np.zeros(3, np.uint8), "large": large("float32"), "small too": np.ones(5, np.int32)})
@example({"at the limit": large("uint8", 0), "above": large("uint8", 1)})
def test_a_frame_gives_back_the_tensors_that_went_in(sent: dict[str, Array]) -> None:
    messages = encode({"id": 7, "op": "put"}, sent)
    assert len(messages) == 1 + sum(tensor.nbytes > INLINE_BYTES for tensor in sent.values())
    frame = read(FrameReader(), messages)
    assert frame.header == {"id": 7, "op": "put"}
    assert_same(frame.tensors, sent)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=3), tensors, max_size=2), max_size=4))
@example([{"a": large("int64")}, {}, {"b": large("float16"), "c": large("uint8")}])
def test_one_reader_reads_frame_after_frame(frames: list[dict[str, Array]]) -> None:
    reader = FrameReader()
    for number, sent in enumerate(frames):
        frame = read(reader, encode({"id": number}, sent))
        assert frame.header == {"id": number}
        assert_same(frame.tensors, sent)


@given(tensors)
def test_views_with_gaps_and_turned_around_are_sent_as_they_read(tensor: Array) -> None:
    turned = tensor.T
    assert_same(read(FrameReader(), encode({"id": 1}, {"x": turned})).tensors, {"x": turned})
    spread = np.repeat(tensor, 2, axis=0)[::2] if tensor.ndim else tensor
    assert_same(read(FrameReader(), encode({"id": 1}, {"x": spread})).tensors, {"x": spread})


def test_large_tensors_are_not_copied_to_be_sent() -> None:
    tensor = large("float32")
    _, apart = encode({"id": 1}, {"x": tensor})
    assert np.shares_memory(np.frombuffer(apart, np.uint8), tensor)


def test_a_type_that_browsers_do_not_take_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'x' has type float64"):
        encode({"id": 1}, {"x": np.zeros(2, np.float64)})


def framed(text: object, tensors: bytes = b"") -> bytes:
    encoded = json.dumps(text).encode()
    return tensors + encoded + len(encoded).to_bytes(4, "little")


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x00" * 8)
@example(b"\xff" * 16)
def test_garbage_is_refused_and_nothing_else_happens(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        FrameReader().feed(message)


def test_a_header_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="not a frame"):
        FrameReader().feed(b"[" * 100_000 + (100_000).to_bytes(4, "little"))


@pytest.mark.parametrize(
    "text",
    [
        [],
        7,
        None,
        {},
        [{}],
        [[], []],
        [{}, 5],
        [{}, [5]],
        [{}, [["x", "uint8"]]],
        [{}, [["x", "float64", [1]]]],
        [{}, [["x", ["float32"], [1]]]],
        [{}, [["x", "uint8", 4]]],
        [{}, [["x", "uint8", ["4"]]]],
        [{}, [["x", "uint8", [-1]]]],
        [{}, [["x", "uint8", [10**40]]]],
        [{}, [["x", "uint8", [0, 2**62, 4]]]],
        [{}, [["x", "uint8", [0] * 100]]],
        [{}, [["x", "uint8", [100]]]],
        [{}, [[[], "uint8", [4]]]],
    ],
    ids=str,
)
def test_a_frame_whose_text_makes_no_sense_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FrameReader().feed(framed(text, bytes(64)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ([{}, [["x", "float64", [1]]]], r"not a frame: Input should be 'float32', .* at \(1, 0, 1\) of its text"),
        ([{}, [["x", "uint8", [9]], ["y", "int32", [3]]]], "the message ends before tensor .y.: int32"),
    ],
)
def test_what_is_wrong_with_a_frame_is_told(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FrameReader().feed(framed(text, bytes(16 + 11)))


@pytest.mark.parametrize("size", [0, INLINE_BYTES, INLINE_BYTES + 2])
def test_a_large_tensor_of_another_size_than_announced_is_refused(size: int) -> None:
    reader = FrameReader()
    assert reader.feed(framed([{"id": 1}, [["x", "uint8", [INLINE_BYTES + 1]]]])) is None
    with pytest.raises(ValueError, match=f"{size} bytes came for tensor 'x'"):
        reader.feed(bytes(size))


@given(st.dictionaries(st.sampled_from("xyz"), tensors, min_size=1, max_size=3), st.data())
def test_a_frame_that_is_cut_short_is_refused(sent: dict[str, Array], data: st.DataObject) -> None:
    (whole,) = map(bytes, encode({"id": 1}, sent))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match=r"."):
        FrameReader().feed(whole[:cut])
