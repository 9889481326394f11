"""Tensors survive the binary frames, and nonsense is refused."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corun.resource_pool.browser.frames import OPERATIONS, TENSOR_TYPES, Frame, FrameReader, Message, encode

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


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text() | st.integers(0, 2**53) | st.lists(st.booleans())))
def test_a_frame_gives_back_the_header_that_went_in(header: dict[str, Any]) -> None:
    sent = {**header, "id": 2**32 - 1}
    sent.pop("op", None)
    assert read(FrameReader(), encode(sent)).header == sent


@pytest.mark.parametrize("operation", OPERATIONS[1:])
def test_every_operation_arrives_by_its_name_without_any_text(operation: str) -> None:
    (message,) = encode({"id": 1, "op": operation})
    assert len(message) == 16
    assert read(FrameReader(), [message]).header == {"id": 1, "op": operation}


def test_a_type_that_browsers_do_not_take_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'x' has type float64"):
        encode({"id": 1}, {"x": np.zeros(2, np.float64)})


def test_a_dimension_that_does_not_fit_into_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'x' has a dimension of 2\*\*32 or more: \(0, 4294967296\)"):
        encode({"id": 1}, {"x": np.zeros((0, 2**32), np.uint8)})


INT32, UINT8 = map(TENSOR_TYPES.index, ("int32", "uint8"))
X, Y = map(ord, "xy")
LARGEST = 2**32 - 1


def framed(text: bytes = b"", entries: Sequence[int] = (), tensors: bytes = b"", operation: int = 0) -> bytes:
    words = [*entries, len(text), len(entries), operation, 1]
    filled = text.ljust(-(-len(text) // 8) * 8, b"\0")
    return tensors + filled + struct.pack(f"<{len(words)}I", *words)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x00" * 16)
@example(b"\x00" * 32)
@example(b"\xff" * 16)
def test_garbage_is_refused_or_says_nothing(message: bytes) -> None:
    try:
        frame = FrameReader().feed(message) or Frame({}, {})
    except ValueError:
        return
    assert set(frame.header) <= {"id", "op"}
    assert sum(tensor.nbytes for tensor in frame.tensors.values()) < len(message)


@pytest.mark.parametrize(
    "text",
    [b"[]", b"7", b"null", b'"id"', b"{", b'{"a": 1', b'{"a": 1}}', b"{'a': 1}", b'{"a": "\xff"}', b"[" * 100_000],
    ids=lambda text: text[:8],
)
def test_a_frame_whose_text_makes_no_sense_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        FrameReader().feed(framed(text))


@pytest.mark.parametrize(
    "entries",
    [
        [UINT8],
        [UINT8, 0],
        [UINT8, 1, 0],
        [UINT8, 0, 1],
        [UINT8, 1, 1, 64],
        [UINT8, LARGEST, 1, 64, X],
        [UINT8, 1, LARGEST, 64, X],
        [UINT8, 1, 1, 64, X, UINT8],
        [len(TENSOR_TYPES), 1, 1, 64, X],
        [LARGEST, 1, 1, 64, X],
        [UINT8, 1, 1, 64, 0xD800],
        [UINT8, 1, 1, 64, 0x110000],
        [UINT8, 1, 1, 64, LARGEST],
        [UINT8, 1, 1, 65, X],
        [UINT8, 1, 1, 56, X],
        [UINT8, 4, 1, 0, LARGEST, LARGEST, LARGEST, X],
        [UINT8, 100, 1, *[0] * 100, X],
        [],
    ],
    ids=str,
)
def test_a_frame_whose_entries_make_no_sense_is_refused(entries: list[int]) -> None:
    with pytest.raises(ValueError, match=r"."):
        FrameReader().feed(framed(entries=entries, tensors=bytes(64)))


@pytest.mark.parametrize("operation", [len(OPERATIONS), LARGEST])
def test_an_operation_that_does_not_exist_is_refused(operation: int) -> None:
    with pytest.raises(ValueError, match=f"there is no operation {operation}"):
        FrameReader().feed(framed(operation=operation))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (bytes(15), "a message of 15 bytes is not a frame"),
        (bytes(18), "a message of 18 bytes is not a frame"),
        (framed(b'{"a": 1}')[8:], "the message of 16 bytes is shorter than its text and entries"),
        (framed(b"[]"), r"not a frame: Input should be an object at \(\) of its text"),
        (framed(entries=[UINT8, 0, 1, X, 99, 0, 0], tensors=bytes(8)), "not a frame: tuple index .* in entry 1"),
        (framed(entries=[UINT8, 0, 3, X], tensors=bytes(8)), "not a frame: entry 0 is cut short"),
        (
            framed(entries=[UINT8, 1, 1, 9, X, INT32, 1, 1, 3, Y], tensors=bytes(24)),
            r"the message ends before tensor 'y': int32 of shape \(3,\)",
        ),
        (framed(entries=[UINT8, 1, 1, 8, X], tensors=bytes(24)), "16 bytes of the message belong to no tensor"),
    ],
)
def test_what_is_wrong_with_a_frame_is_told(message: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FrameReader().feed(message)


def test_the_number_of_a_frame_is_not_what_its_text_says() -> None:
    assert read(FrameReader(), [framed(b'{"id": 9}')]).header == {"id": 1}


@pytest.mark.parametrize("size", [0, INLINE_BYTES, INLINE_BYTES + 2])
def test_a_large_tensor_of_another_size_than_announced_is_refused(size: int) -> None:
    reader = FrameReader()
    assert reader.feed(framed(entries=[UINT8, 1, 1, INLINE_BYTES + 1, X])) is None
    with pytest.raises(ValueError, match=f"{size} bytes came for tensor 'x'"):
        reader.feed(bytes(size))


@given(st.dictionaries(st.sampled_from("xyz"), tensors, min_size=1, max_size=3), st.floats(0, 1, exclude_max=True))
@example({"x": np.zeros((), np.float32)}, 16 / 40)  # so many words of zeros are a frame without anything
def test_a_frame_that_is_cut_short_is_refused_unless_what_is_left_is_a_frame(
    sent: dict[str, Array], share: float
) -> None:
    (whole,) = map(bytes, encode({"id": 1}, sent))
    left = whole[: int(share * len(whole))]
    try:
        frame = FrameReader().feed(left)
    except ValueError:
        return
    assert frame is not None
    (again,) = encode(frame.header, frame.tensors)
    assert len(again) == len(left)  # all of it, but for what tensors are filled up with
