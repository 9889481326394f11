"""Arrays to another element type without silent loss of meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from corun_client.conversion.tensors import DTYPES, Array
from corun_client.errors import InvalidArgument

_KINDS = "biuf"  # booleans, integers, unsigned integers, floats


def converted(data: object, dtype: str | None, *, parameter: str = "tensor_data") -> Array:
    """`data` as a dense array of `dtype`; None leaves its own type.

    Floats are rounded to the nearest that the type has. Nothing overflows: finite values stay finite, integers
    keep their value, and only whole numbers become integers, only 0 and 1 booleans.

    Args:
        data: A numpy array, or nested lists of numbers.
        dtype: float32, float16, int64, int32, uint8 or bool.
        parameter: For errors.

    Raises:
        InvalidArgument: naming the first value that does not fit and how many do not.
    """
    array = _array(data, parameter)
    if dtype is None:
        if array.dtype.name not in DTYPES:
            raise InvalidArgument.of("dtype", f"{array.dtype.name} cannot be shared; give one of {', '.join(DTYPES)}")
        return array
    if dtype not in DTYPES:
        raise InvalidArgument.of("dtype", f"{dtype!r} is not known; allowed: {', '.join(DTYPES)}")
    target = np.dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        result: Array = array.astype(target)
    misfits = _misfits(array, result)
    if misfits.any():
        first = array[misfits].flat[0]
        raise InvalidArgument.of(parameter, f"{first!s} is no {dtype} ({int(misfits.sum())} of {array.size} values)")
    return result


def _array(data: object, parameter: str) -> Array:
    try:
        array: Array = np.asarray(data)
    except ValueError as error:  # ragged lists
        raise InvalidArgument.of(parameter, f"is no array: {error}") from None
    if array.dtype.kind not in _KINDS:
        raise InvalidArgument.of(parameter, f"expected an array of numbers; received {type(data).__name__}")
    return array


def _misfits(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a value lost its meaning on the way."""
    if after.dtype.kind == "f":
        return np.asarray(np.isfinite(before) & ~np.isfinite(after))
    if after.dtype.kind == "b":
        return np.asarray((before != 0) & (before != 1))
    if before.dtype.kind == "f":
        lowest, highest = np.iinfo(after.dtype).min, np.iinfo(after.dtype).max
        # The highest is no float of its own where it has more bits than one: the bound then is one too high.
        inside = (before >= float(lowest)) & (before < float(highest) + 1)
        return np.asarray(~inside | (before != np.trunc(before)))
    return np.asarray((after != before) | ((before < 0) != (after < 0)))
