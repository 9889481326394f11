"""Calls of the resource pool: the request, the deadline and how the answer is read. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client import deadlines
from corun_client.calls import POOL, Call
from corun_client.conversion import inference, pool, sharing, status
from corun_client.conversion.names import platform_of
from corun_client.conversion.preferences import engine_of
from corun_client.deadlines import deadline


def list_models(names: Sequence[str], timeout_seconds: float | None) -> Call[list[pool.ModelReport]]:
    """All models, or those named."""
    request = pool_pb2.ListModelsRequest(names=names)
    seconds = deadline(timeout_seconds, deadlines.PREPARE if names else deadlines.QUICK)
    return Call(
        POOL, "ListModels", request, seconds, lambda answer: [pool.model_report(each) for each in answer.models]
    )


def capabilities(
    *, refresh: bool, platform: str | None, engine: str | None, timeout_seconds: float | None
) -> Call[pool.CapabilityReport]:
    """What the pool can do."""
    request = pool_pb2.GetCapabilitiesRequest(refresh=refresh, engine=engine_of(engine))
    if platform is not None:
        request.platform = platform_of(platform)
    seconds = deadline(timeout_seconds, deadlines.PROBE)
    return Call(POOL, "GetCapabilities", request, seconds, pool.capability_report)


def infer(
    model_name: str,
    *,
    platform: str,
    texts: Sequence[str] | None = None,
    images: Sequence[bytes] | None = None,
    audio: Sequence[bytes] | None = None,
    tensors: Mapping[str, object] | None = None,
    shared: Mapping[str, str] | None = None,
    keep: Mapping[str, str] | None = None,
    owner: str = "",
    engine: str | None = None,
    timeout_seconds: float | None = None,
) -> Call[inference.Inference]:
    """Runs one model on the caller's input."""
    request = inference.infer_request(
        model_name,
        platform=platform,
        texts=texts,
        images=images,
        audio=audio,
        tensors=tensors,
        shared=shared,
        keep=keep,
        owner=owner,
        engine=engine,
    )
    seconds = deadline(timeout_seconds, deadlines.PREPARE)
    return Call(POOL, "Infer", request, seconds, inference.inference)


def load(model_name: str, *, platform: str, engine: str | None, timeout_seconds: float | None) -> Call[pool.LoadReport]:
    """Loads a model."""
    request = pool_pb2.LoadModelRequest(model_name=model_name, platform=platform_of(platform), engine=engine_of(engine))
    seconds = deadline(timeout_seconds, deadlines.PREPARE)
    return Call(POOL, "LoadModel", request, seconds, pool.load_report)


def unload(model_name: str, *, platform: str | None, timeout_seconds: float | None) -> Call[int]:
    """Unloads a model; the report is the number of sessions released."""
    request = pool_pb2.UnloadModelRequest(model_name=model_name)
    if platform is not None:
        request.platform = platform_of(platform)
    seconds = deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "UnloadModel", request, seconds, lambda answer: int(answer.session_count))


def share_tensor(
    name: str,
    array: object,
    *,
    producer_model: str,
    consumer_models: Sequence[str],
    storage_type: str,
    owner: str,
    engine: str | None,
    timeout_seconds: float | None,
) -> Call[sharing.ShareReport]:
    """Makes an array readable by models under a name."""
    request = sharing.share_request(
        name,
        array,
        producer_model=producer_model,
        consumer_models=consumer_models,
        storage_type=storage_type,
        owner=owner,
        engine=engine,
    )
    seconds = deadline(timeout_seconds, deadlines.PREPARE)
    return Call(POOL, "ShareTensor", request, seconds, sharing.share_report)


def release_tensor(
    name: str | None, *, owner: str | None, timeout_seconds: float | None
) -> Call[sharing.ReleaseReport]:
    """Frees one shared tensor, or all of an owner."""
    request = sharing.release_request(name, owner)
    seconds = deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "ReleaseTensor", request, seconds, sharing.release_report)


def list_tensors(timeout_seconds: float | None) -> Call[sharing.SharedTensors]:
    """The shared tensors that are alive."""
    seconds = deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "ListTensors", pool_pb2.ListTensorsRequest(), seconds, sharing.shared_tensors)


def pool_status(timeout_seconds: float | None) -> Call[status.PoolReport]:
    """What is alive in the pool."""
    seconds = deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "GetPoolStatus", pool_pb2.GetPoolStatusRequest(), seconds, status.pool_report)


def watch_pool(timeout_seconds: float | None) -> Call[status.PoolChange]:
    """The pool's state after every change; `read` makes the report of each response."""
    seconds = deadline(timeout_seconds, deadlines.WATCH)
    return Call(POOL, "WatchPool", pool_pb2.WatchPoolRequest(), seconds, status.pool_change)
