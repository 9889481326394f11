"""numpy arrays to tensors on the wire and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from corun.v1 import core_pb2
from corun_client.errors import InvalidArgument

Array = npt.NDArray[np.generic]

DTYPES: Mapping[str, core_pb2.DataType.ValueType] = {
    "float32": core_pb2.DATA_TYPE_FLOAT32,
    "float16": core_pb2.DATA_TYPE_FLOAT16,
    "int64": core_pb2.DATA_TYPE_INT64,
    "int32": core_pb2.DATA_TYPE_INT32,
    "uint8": core_pb2.DATA_TYPE_UINT8,
    "bool": core_pb2.DATA_TYPE_BOOL,
}
_NAMES = {value: name for name, value in DTYPES.items()}


def type_name(value: core_pb2.DataType.ValueType) -> str:
    """numpy's name of an element type, or "" for one that this client does not know."""
    return _NAMES.get(value, "")


def tensor_of(name: str, array: object, *, parameter: str = "tensors") -> core_pb2.Tensor:
    """A tensor with the array's type, shape and elements; nothing is cast.

    Raises:
        InvalidArgument: when it is not an array or its type does not exist on the wire.
    """
    where = f"{parameter}[{name!r}]"
    if not isinstance(array, np.ndarray | np.generic):
        raise InvalidArgument.of(where, f"expected a numpy array; received {type(array).__name__}")
    dense = np.asarray(array)
    if dense.dtype.name not in DTYPES:
        raise InvalidArgument.of(where, f"{dense.dtype.name} does not go over the wire; allowed: {', '.join(DTYPES)}")
    little = dense.astype(dense.dtype.newbyteorder("<"), copy=False)
    return core_pb2.Tensor(
        name=name, data_type=DTYPES[dense.dtype.name], shape=dense.shape, content=little.tobytes(order="C")
    )


def array_of(tensor: core_pb2.Tensor) -> Array:
    """The tensor's elements as a read-only array over the message's bytes.

    Raises:
        ValueError: when type, shape and content do not agree.
    """
    if tensor.data_type not in _NAMES:
        raise ValueError(f"tensor {tensor.name!r} has an unknown element type {tensor.data_type}")
    dtype = np.dtype(_NAMES[tensor.data_type]).newbyteorder("<")
    return np.frombuffer(tensor.content, dtype=dtype).reshape(tuple(tensor.shape))
