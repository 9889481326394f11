"""Arrays to another element type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corun_client.conversion.dtypes import converted
from corun_client.errors import InvalidArgument

_WHOLE = st.sampled_from(["int64", "int32", "uint8", "uint64", "bool"])
_TARGETS = st.sampled_from(["float32", "float16", "int64", "int32", "uint8", "bool"])


@given(st.data(), _WHOLE, st.sampled_from(["int64", "int32", "uint8"]))
def test_integers_keep_their_value_or_are_refused(data: st.DataObject, before: str, dtype: str) -> None:
    array = data.draw(arrays.arrays(np.dtype(before), arrays.array_shapes(max_dims=2, max_side=4)))
    bounds = np.iinfo(np.dtype(dtype))
    fits = all(bounds.min <= int(value) <= bounds.max for value in array.flat)
    if not fits:
        with pytest.raises(InvalidArgument, match=f"is no {dtype}"):
            converted(array, dtype)
        return
    result = converted(array, dtype)
    assert result.dtype.name == dtype
    assert [int(value) for value in result.flat] == [int(value) for value in array.flat]


@given(st.data(), _TARGETS)
def test_finite_numbers_never_become_infinite_and_never_change_their_sign(data: st.DataObject, dtype: str) -> None:
    array = data.draw(arrays.arrays(np.float64, arrays.array_shapes(max_dims=2, max_side=4)))
    try:
        result = converted(array, dtype).astype(np.float64)
    except InvalidArgument:
        return
    finite = np.isfinite(array)
    assert np.isfinite(result[finite]).all()
    assert (result[finite] * array[finite] >= 0).all()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1e39, "float32"),  # the largest is 3.4e38
        (70_000, "float16"),  # the largest is 65,504
        (-1, "uint8"),
        (256, "uint8"),
        (2**31, "int32"),
        (2.0**63, "int64"),
        (1.5, "int32"),
        (np.nan, "int64"),
        (np.inf, "uint8"),
        (2, "bool"),
        (0.5, "bool"),
        (np.uint64(2**63), "int64"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_how_many_there_are(value: float, dtype: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^tensor_data: .* is no {dtype} \(1 of 2 values\)$"):
        converted(np.array([value, value * 0 if np.isfinite(value) else 0]), dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (0.1, "float32", np.float32(0.1)),
        (1e-30, "float16", np.float16(0)),  # too small is rounded, not refused
        (255.0, "uint8", 255),
        (-(2.0**63), "int64", -(2**63)),
        (np.inf, "float16", np.inf),
        (1, "bool", True),
        (True, "float32", 1.0),
    ],
)
def test_a_value_that_fits_is_converted(value: float, dtype: str, expected: float) -> None:
    result = converted(np.array([value]), dtype)
    assert (result.dtype.name, result[0]) == (dtype, expected)


def test_without_a_type_the_arrays_own_is_kept_where_it_can_be_shared() -> None:
    assert converted(np.zeros(2, dtype=np.float16), None).dtype == np.float16
    with pytest.raises(InvalidArgument, match=r"^dtype: float64 cannot be shared; give one of float32"):
        converted([1.0, 2.0], None)


@pytest.mark.parametrize("data", ["text", None, [[1], [1, 2]], object(), np.array(["a"]), np.array([1j])])
def test_what_is_no_array_of_numbers_is_refused(data: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^tensor_data: "):
        converted(data, "float32")


def test_a_type_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        InvalidArgument, match=r"^dtype: 'float8'.*allowed: float32, float16, int64, int32, uint8, bool"
    ):
        converted([1], "float8")
