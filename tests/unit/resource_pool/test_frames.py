"""Tensors survive the binary frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corun.resource_pool.browser.frames import TENSOR_TYPES, decode, encode


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.sampled_from(TENSOR_TYPES).flatmap(
            lambda name: arrays.arrays(np.dtype(name), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
        ),
        max_size=4,
    )
)
def test_a_frame_gives_back_the_tensors_that_went_in(tensors: dict[str, np.ndarray]) -> None:
    frame = decode(encode({"id": 7, "op": "put"}, tensors))
    assert frame.header == {"id": 7, "op": "put"}
    assert set(frame.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert frame.tensors[name].dtype == tensor.dtype
        assert frame.tensors[name].shape == tensor.shape
        assert frame.tensors[name].tobytes() == tensor.tobytes()


def test_a_type_that_browsers_do_not_take_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'x' has type float64"):
        encode({"id": 1}, {"x": np.zeros(2, np.float64)})


def test_a_frame_that_is_cut_short_is_refused() -> None:
    whole = encode({"id": 1}, {"x": np.zeros(4, np.float32)})
    with pytest.raises(ValueError, match=r"."):
        decode(whole[: len(whole) // 2])
