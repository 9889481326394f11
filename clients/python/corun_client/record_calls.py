"""Calls that read the validator's record: request, deadline and how the answer is read. Nothing is sent here."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client import deadlines
from corun_client.calls import VALIDATOR, Call
from corun_client.deadlines import deadline
from corun_client.errors import InvalidArgument

_FORMATS = {"parquet": validator_pb2.EXPORT_FORMAT_PARQUET, "csv": validator_pb2.EXPORT_FORMAT_CSV}


class IncidentReport(TypedDict):
    """Acknowledged rows that were found missing when a service started."""

    detected_time: str
    description: str
    missing_row_counts: dict[str, int]
    kept_file: NotRequired[str]


class StorageReport(TypedDict):
    """Size and wholeness of the record."""

    database_path: str
    size_bytes: int
    row_counts: dict[str, int]
    degraded: bool
    incidents: list[IncidentReport]


def query(sql: str, max_rows: int | None, timeout_seconds: float | None) -> Call[bytes | None]:
    """One SELECT; each response is bytes of an Arrow IPC stream, and None at its end."""
    if not isinstance(sql, str) or not sql.strip():
        raise InvalidArgument.of("sql", f"expected a SELECT statement; received {sql!r}")
    request = validator_pb2.QueryMetricsRequest(sql=sql, max_rows=max_rows)
    seconds = deadline(timeout_seconds, deadlines.PROBE)

    def read(response: validator_pb2.QueryMetricsResponse) -> bytes | None:
        return None if response.HasField("summary") else response.arrow_ipc

    return Call(VALIDATOR, "QueryMetrics", request, seconds, read)


def export(table: str, file_format: str, timeout_seconds: float | None) -> Call[bytes]:
    """One table as a file, in chunks."""
    if file_format not in _FORMATS:
        raise InvalidArgument.of("format", f"expected one of {', '.join(_FORMATS)}; received {file_format!r}")
    request = validator_pb2.ExportMetricsRequest(table=table, format=_FORMATS[file_format])
    seconds = deadline(timeout_seconds, deadlines.EXECUTE)
    return Call(VALIDATOR, "ExportMetrics", request, seconds, lambda response: response.chunk)


def storage_status(timeout_seconds: float | None) -> Call[StorageReport]:
    """Size and wholeness of the record."""
    request = validator_pb2.GetStorageStatusRequest()
    seconds = deadline(timeout_seconds, deadlines.QUICK)
    return Call(VALIDATOR, "GetStorageStatus", request, seconds, _storage_report)


def arrow_table(content: bytes) -> Any:
    """The table (`pyarrow.Table`) that an Arrow IPC stream holds."""
    import pyarrow as pa  # noqa: PLC0415  (whoever asks no SQL need not wait for it)

    return pa.ipc.open_stream(content).read_all()


def _storage_report(status: validator_pb2.GetStorageStatusResponse) -> StorageReport:
    return {
        "database_path": status.database_path,
        "size_bytes": status.size_bytes,
        "row_counts": dict(sorted(status.row_counts.items())),
        "degraded": status.degraded,
        "incidents": [_incident_report(each) for each in status.incidents],
    }


def _incident_report(incident: validator_pb2.StorageIncident) -> IncidentReport:
    report: IncidentReport = {
        "detected_time": incident.detected_time.ToDatetime().isoformat(timespec="seconds") + "Z",
        "description": incident.description,
        "missing_row_counts": dict(sorted(incident.missing_row_counts.items())),
    }
    if incident.kept_file:
        report["kept_file"] = incident.kept_file
    return report
