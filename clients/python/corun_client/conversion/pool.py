"""The pool's models, capabilities and status to plain dicts."""

from __future__ import annotations

from typing import TypedDict

from corun.v1 import resource_pool_service_pb2 as pool_pb2
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


class LaneReport(TypedDict):
    """A lane of a browser."""

    lane_id: str
    platform: str
    width: int
    model_names: list[str]


class ConnectionReport(TypedDict):
    """A live browser; memory in megabytes."""

    connection_id: str
    engine: str
    state: str
    process_id: int
    memory_mb: float
    idle_memory_mb: float
    lease_count: int
    lanes: list[LaneReport]


class PoolReport(TypedDict):
    """What is alive in the pool."""

    connections: list[ConnectionReport]
    max_connections: int
    queued_count: int
    lost_count: int


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


def pool_report(status: pool_pb2.GetPoolStatusResponse) -> PoolReport:
    """What GetPoolStatus saw."""
    return {
        "connections": [_connection_report(each) for each in status.connections],
        "max_connections": status.max_connections,
        "queued_count": status.queued_count,
        "lost_count": status.lost_count,
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


def _connection_report(connection: pool_pb2.ConnectionStatus) -> ConnectionReport:
    return {
        "connection_id": connection.connection_id,
        "engine": connection.engine,
        "state": connection.state,
        "process_id": connection.process_id,
        "memory_mb": connection.memory_mb,
        "idle_memory_mb": connection.idle_memory_mb,
        "lease_count": connection.lease_count,
        "lanes": [
            {
                "lane_id": lane.lane_id,
                "platform": platform_name(lane.platform),
                "width": lane.width,
                "model_names": list(lane.model_names),
            }
            for lane in connection.lanes
        ],
    }
