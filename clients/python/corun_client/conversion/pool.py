"""The pool's models and capabilities to plain dicts."""

from __future__ import annotations

from typing import TypedDict

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.fallbacks import FallbackReport, fallback_of
from corun_client.conversion.names import origin_name, platform_name


class TensorReport(TypedDict):
    """An input or output of a graph; sizes are numbers or names of free dimensions."""

    name: str
    data_type: str
    shape: list[int | str]


class ModelReport(TypedDict):
    """A model that the pool can run. Size, hash, inputs and outputs are empty until it is prepared."""

    name: str
    model_type: str
    weights_origin: str
    source: str
    license: str
    prepared: bool
    accepts: str
    size_bytes: int
    sha256: str
    inputs: list[TensorReport]
    outputs: list[TensorReport]


class PlatformReport(TypedDict):
    """A platform in an engine, as tried."""

    platform: str
    supported: bool
    adapter: str
    software: bool
    detail: str


class EngineReport(TypedDict):
    """An engine, as tried."""

    engine: str
    version: str
    available: bool
    sandboxed: bool
    detail: str
    platforms: list[PlatformReport]


class CapabilityReport(TypedDict):
    """What the pool can do on its machine."""

    engines: list[EngineReport]
    core_count: int
    max_connections: int


class LoadReport(TypedDict):
    """Where a model is now; `load_time_ms` is 0 when it was there before."""

    connection_id: str
    engine: str
    load_time_ms: float
    already_loaded: bool
    fallback: FallbackReport | None


def model_report(info: pool_pb2.ModelInfo) -> ModelReport:
    """One model of ListModels."""
    return {
        "name": info.name,
        "model_type": info.model_type,
        "weights_origin": origin_name(info.weights_origin),
        "source": info.source,
        "license": info.license,
        "prepared": info.prepared,
        "accepts": info.accepts,
        "size_bytes": info.size_bytes,
        "sha256": info.sha256,
        "inputs": [_tensor_report(spec) for spec in info.inputs],
        "outputs": [_tensor_report(spec) for spec in info.outputs],
    }


def capability_report(response: pool_pb2.GetCapabilitiesResponse) -> CapabilityReport:
    """What GetCapabilities found."""
    return {
        "engines": [_engine_report(engine) for engine in response.engines],
        "core_count": response.core_count,
        "max_connections": response.max_connections,
    }


def load_report(response: pool_pb2.LoadModelResponse) -> LoadReport:
    """Where LoadModel put a model."""
    return {
        "connection_id": response.connection_id,
        "engine": response.engine,
        "load_time_ms": response.load_time_ms,
        "already_loaded": response.already_loaded,
        "fallback": fallback_of(response),
    }


def _tensor_report(spec: pool_pb2.TensorSpec) -> TensorReport:
    shape: list[int | str] = [int(size) if size.isdigit() else size for size in spec.shape]
    return {"name": spec.name, "data_type": spec.data_type, "shape": shape}


def _engine_report(engine: pool_pb2.EngineCapability) -> EngineReport:
    return {
        "engine": engine.engine,
        "version": engine.version,
        "available": engine.available,
        "sandboxed": engine.sandboxed,
        "detail": engine.detail,
        "platforms": [
            {
                "platform": platform_name(each.platform),
                "supported": each.supported,
                "adapter": each.adapter,
                "software": each.software,
                "detail": each.detail,
            }
            for each in engine.platforms
        ],
    }
