"""Requests and answers about tensors that models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.fallbacks import FallbackReport, fallback_of
from corun_client.conversion.preferences import engine_of
from corun_client.conversion.tensors import tensor_of, type_name
from corun_client.errors import InvalidArgument

PLATFORM_BY_STORAGE: Mapping[str, str] = {"webgpu": "webgpu", "webnn": "webnn", "cpu": "wasm"}
"""The platform whose lanes keep tensors in a storage."""


class SharedTensorReport(TypedDict):
    """A tensor that models may read under its name, and where it lies."""

    name: str
    dtype: str
    shape: list[int]
    size_bytes: int
    storage_type: str
    owner: str
    connection_id: str
    lane_id: str
    producer_model: str
    consumer_models: list[str]


class ShareReport(TypedDict):
    """A tensor that was shared. `boundary_bytes` crossed the page boundary to bring it there."""

    tensor: SharedTensorReport
    boundary_bytes: int
    engine: str
    adapter: str
    fallback: FallbackReport | None


class SharingResult(TypedDict):
    """A tensor that was shared between models.

    `boundary_bytes` crossed the page boundary to bring it there, `zero_copy` is true when none did. Its consumers
    are in the same lane and read it there; the results of their runs say whether anything was copied.
    """

    success: bool
    tensor_name: str
    storage_type: str
    shape: list[int]
    dtype: str
    size_bytes: int
    boundary_bytes: int
    zero_copy: bool
    producer: str
    consumers: list[str]
    engine: str
    adapter: str
    connection_id: str
    lane_id: str
    fallback: FallbackReport | None


class ReleaseReport(TypedDict):
    """What was freed."""

    released_count: int
    released_bytes: int


class SharedTensors(TypedDict):
    """Every shared tensor by name, and the bytes that all may take together."""

    tensors: list[SharedTensorReport]
    limit_bytes: int


def storage_type_of(value: object, *, parameter: str = "storage_type") -> str:
    """webgpu, webnn or cpu. Raises InvalidArgument for anything else."""
    if isinstance(value, str) and value in PLATFORM_BY_STORAGE:
        return value
    raise InvalidArgument.of(parameter, f"{value!r} is not known; allowed: {', '.join(PLATFORM_BY_STORAGE)}")


def share_request(
    name: str,
    array: object,
    *,
    producer_model: str,
    consumer_models: Sequence[str] = (),
    storage_type: object = "cpu",
    owner: str = "",
    engine: object = None,
) -> pool_pb2.ShareTensorRequest:
    """Request of ShareTensor. Raises InvalidArgument for what cannot be sent."""
    if isinstance(consumer_models, str):
        raise InvalidArgument.of("consumer_models", f"expected a list of names; received {consumer_models!r}")
    return pool_pb2.ShareTensorRequest(
        tensor=tensor_of(name, array, parameter="tensor"),
        producer_model=producer_model,
        consumer_models=consumer_models,
        storage_type=storage_type_of(storage_type),
        owner=owner,
        engine=engine_of(engine),
    )


def release_request(name: str | None, owner: str | None) -> pool_pb2.ReleaseTensorRequest:
    """Request of ReleaseTensor: one tensor by its name, or all of an owner.

    Raises:
        InvalidArgument: for neither and for both.
    """
    if (name is None) is (owner is None):
        raise InvalidArgument.of("name", f"give either a name or an owner; received {name!r} and {owner!r}")
    if name is not None:
        return pool_pb2.ReleaseTensorRequest(tensor_name=name)
    return pool_pb2.ReleaseTensorRequest(owner=owner or "")


def share_report(response: pool_pb2.ShareTensorResponse) -> ShareReport:
    """What ShareTensor did."""
    return {
        "tensor": shared_tensor_report(response.tensor),
        "boundary_bytes": response.boundary_bytes,
        "engine": response.engine,
        "adapter": response.adapter,
        "fallback": fallback_of(response),
    }


def sharing_result(shared: ShareReport) -> SharingResult:
    """The guide's dict for a tensor that was shared."""
    tensor = shared["tensor"]
    return {
        "success": True,
        "tensor_name": tensor["name"],
        "storage_type": tensor["storage_type"],
        "shape": tensor["shape"],
        "dtype": tensor["dtype"],
        "size_bytes": tensor["size_bytes"],
        "boundary_bytes": shared["boundary_bytes"],
        "zero_copy": shared["boundary_bytes"] == 0,
        "producer": tensor["producer_model"],
        "consumers": tensor["consumer_models"],
        "engine": shared["engine"],
        "adapter": shared["adapter"],
        "connection_id": tensor["connection_id"],
        "lane_id": tensor["lane_id"],
        "fallback": shared["fallback"],
    }


def release_report(response: pool_pb2.ReleaseTensorResponse) -> ReleaseReport:
    """What ReleaseTensor freed."""
    return {"released_count": response.released_count, "released_bytes": response.released_bytes}


def shared_tensors(response: pool_pb2.ListTensorsResponse) -> SharedTensors:
    """What ListTensors found."""
    return {
        "tensors": [shared_tensor_report(each) for each in response.tensors],
        "limit_bytes": response.limit_bytes,
    }


def shared_tensor_report(tensor: pool_pb2.SharedTensor) -> SharedTensorReport:
    """One shared tensor."""
    return {
        "name": tensor.name,
        "dtype": type_name(tensor.data_type),
        "shape": list(tensor.shape),
        "size_bytes": tensor.size_bytes,
        "storage_type": tensor.storage_type,
        "owner": tensor.owner,
        "connection_id": tensor.connection_id,
        "lane_id": tensor.lane_id,
        "producer_model": tensor.producer_model,
        "consumer_models": list(tensor.consumer_models),
    }
