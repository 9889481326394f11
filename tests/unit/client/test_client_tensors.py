"""numpy arrays on the wire."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corun.v1 import core_pb2
from corun_client.conversion.tensors import array_of, tensor_of
from corun_client.errors import InvalidArgument

_TYPES = st.sampled_from(["float32", "float16", "int64", "int32", "uint8", "bool"])


@given(st.data(), _TYPES)
def test_every_array_comes_back_with_its_type_shape_and_elements(data: st.DataObject, dtype: str) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = data.draw(arrays.arrays(np.dtype(dtype), shape))
    back = array_of(tensor_of("x", array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_strided_and_big_endian_arrays_are_sent_dense_and_little_endian() -> None:
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    tensor = tensor_of("x", array)
    assert list(tensor.shape) == [3, 2]
    assert tensor.content == np.array([0, 2, 4, 6, 8, 10], dtype="<i4").tobytes()


@pytest.mark.parametrize("array", [np.zeros(2, dtype=np.float64), np.array(["a"]), np.zeros(1, dtype=complex)])
def test_types_that_do_not_exist_on_the_wire_are_refused_and_never_cast(array: object) -> None:
    with pytest.raises(InvalidArgument, match=r"tensors\['x'\].*allowed: float32"):
        tensor_of("x", array)


def test_a_list_is_not_an_array() -> None:
    with pytest.raises(InvalidArgument, match="expected a numpy array; received list"):
        tensor_of("x", [1, 2])


def test_a_tensor_whose_content_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        array_of(core_pb2.Tensor(name="x", data_type=core_pb2.DATA_TYPE_INT32, shape=[3], content=b"\0" * 8))
