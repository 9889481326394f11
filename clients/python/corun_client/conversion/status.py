"""The pool's state to plain dicts: browsers, lanes, leases, health."""

from __future__ import annotations

from typing import TypedDict

from google.protobuf import timestamp_pb2

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.names import platform_name


class LaneReport(TypedDict):
    """A lane of a browser; memory in megabytes."""

    lane_id: str
    platform: str
    width: int
    model_names: list[str]
    wasm_memory_mb: float
    tensor_names: list[str]


class ConnectionReport(TypedDict):
    """A live browser; memory in megabytes (0 while watching, where it is not weighed)."""

    connection_id: str
    engine: str
    state: str
    process_id: int
    memory_mb: float
    idle_memory_mb: float
    lease_count: int
    epoch: int
    run_count: int
    lanes: list[LaneReport]


class LeaseReport(TypedDict):
    """The right of a caller to some browsers; times are ISO 8601 in UTC."""

    lease_id: str
    purpose: str
    connection_ids: list[str]
    granted_time: str
    expire_time: str


class HealthReport(TypedDict):
    """A platform of an engine: ready, degraded (left alone until `retry_time`) or unavailable."""

    engine: str
    platform: str
    state: str
    detail: str
    retry_time: str


class PoolReport(TypedDict):
    """What is alive in the pool. Counts are since its start; `blocked` are the newest requests that were blocked."""

    connections: list[ConnectionReport]
    max_connections: int
    queued_count: int
    lost_count: int
    recycled_count: int
    late_result_count: int
    leases: list[LeaseReport]
    platforms: list[HealthReport]
    blocked_count: int
    blocked: list[str]
    tensor_count: int
    tensor_bytes: int
    warnings: list[str]


class PoolChange(TypedDict):
    """A state of the pool that is watched, and what changed since the one before, in words, oldest first."""

    sequence: int
    event_time: str
    changes: list[str]
    status: PoolReport


def pool_report(status: pool_pb2.GetPoolStatusResponse) -> PoolReport:
    """What GetPoolStatus saw."""
    return {
        "connections": [_connection_report(each) for each in status.connections],
        "max_connections": status.max_connections,
        "queued_count": status.queued_count,
        "lost_count": status.lost_count,
        "recycled_count": status.recycled_count,
        "late_result_count": status.late_result_count,
        "leases": [_lease_report(each) for each in status.leases],
        "platforms": [_health_report(each) for each in status.platforms],
        "blocked_count": status.blocked_count,
        "blocked": list(status.blocked),
        "tensor_count": status.tensor_count,
        "tensor_bytes": status.tensor_bytes,
        "warnings": list(status.warnings),
    }


def pool_change(response: pool_pb2.WatchPoolResponse) -> PoolChange:
    """One response of WatchPool."""
    return {
        "sequence": response.sequence,
        "event_time": _time(response.event_time),
        "changes": list(response.changes),
        "status": pool_report(response.status),
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
        "epoch": connection.epoch,
        "run_count": connection.run_count,
        "lanes": [
            {
                "lane_id": lane.lane_id,
                "platform": platform_name(lane.platform),
                "width": lane.width,
                "model_names": list(lane.model_names),
                "wasm_memory_mb": lane.wasm_memory_mb,
                "tensor_names": list(lane.tensor_names),
            }
            for lane in connection.lanes
        ],
    }


def _lease_report(lease: pool_pb2.LeaseStatus) -> LeaseReport:
    return {
        "lease_id": lease.lease_id,
        "purpose": lease.purpose,
        "connection_ids": list(lease.connection_ids),
        "granted_time": _time(lease.granted_time),
        "expire_time": _time(lease.expire_time),
    }


def _health_report(health: pool_pb2.PlatformHealth) -> HealthReport:
    return {
        "engine": health.engine,
        "platform": platform_name(health.platform),
        "state": health.state,
        "detail": health.detail,
        "retry_time": _time(health.retry_time) if health.HasField("retry_time") else "",
    }


def _time(stamp: timestamp_pb2.Timestamp) -> str:
    return stamp.ToJsonString()
