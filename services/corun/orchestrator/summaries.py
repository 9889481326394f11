"""Kept executions in short, for clients."""

from __future__ import annotations

from corun.orchestrator.store.executions import Row
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


def summary_of(row: Row) -> orchestrator_pb2.ExecutionSummary:
    """A row for clients."""
    summary = orchestrator_pb2.ExecutionSummary(
        execution_id=row.execution_id,
        kind=orchestrator_pb2.ExecutionKind.ValueType(row.kind),
        state=orchestrator_pb2.ExecutionState.ValueType(row.state),
        request_id=row.request_id,
        client_id=row.client_id,
        workload=core_pb2.Workload.FromString(row.workload),
        platform=core_pb2.Platform.ValueType(row.platform),
        last_sequence=row.last_sequence,
    )
    summary.create_time.FromMicroseconds(int(row.create_time * 1e6))
    if row.end_time is not None:
        summary.end_time.FromMicroseconds(int(row.end_time * 1e6))
    return summary
