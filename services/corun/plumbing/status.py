"""Errors to rich gRPC statuses and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from corun.errors import CorunError

ERROR_DOMAIN = "corun"

# Statuses travel in headers: gRPC drops those over 16 kB, and with them the error.
_LONGEST_MESSAGE = 2000

CODE_BY_REASON: dict[str, int] = {
    "INVALID_FIELD": code_pb2.INVALID_ARGUMENT,
    "UNKNOWN_MODEL": code_pb2.NOT_FOUND,
    "MODEL_REFUSED": code_pb2.INVALID_ARGUMENT,
    "PLATFORM_UNAVAILABLE": code_pb2.FAILED_PRECONDITION,
    "MODEL_NOT_LOADED": code_pb2.NOT_FOUND,
    "BROWSER_LOST": code_pb2.UNAVAILABLE,
    "POOL_FULL": code_pb2.RESOURCE_EXHAUSTED,
    "INFERENCE_FAILED": code_pb2.FAILED_PRECONDITION,
    "STEP_TIMED_OUT": code_pb2.DEADLINE_EXCEEDED,
    "MODEL_NEVER_OBSERVED": code_pb2.FAILED_PRECONDITION,
    "DATABASE_LOCKED": code_pb2.FAILED_PRECONDITION,
    "PEER_UNAVAILABLE": code_pb2.UNAVAILABLE,
    "EXECUTION_CONFLICT": code_pb2.ALREADY_EXISTS,
    "DATABASE_FAILED": code_pb2.INTERNAL,
    "TENSOR_NOT_FOUND": code_pb2.NOT_FOUND,
    "TENSOR_LOST": code_pb2.FAILED_PRECONDITION,
    "TENSOR_EXISTS": code_pb2.ALREADY_EXISTS,
    "TENSOR_LIMIT": code_pb2.RESOURCE_EXHAUSTED,
    "LEASE_ENDED": code_pb2.ABORTED,
    "QUEUE_DEADLINE": code_pb2.DEADLINE_EXCEEDED,
    "MODEL_UNREACHABLE": code_pb2.UNAVAILABLE,
    "MODEL_VERSION_NOT_FOUND": code_pb2.NOT_FOUND,
    "WRITE_QUEUE_FULL": code_pb2.RESOURCE_EXHAUSTED,
    "QUERY_LIMIT": code_pb2.RESOURCE_EXHAUSTED,
    "EXECUTION_NOT_FOUND": code_pb2.NOT_FOUND,
    "TOO_MANY_EXECUTIONS": code_pb2.RESOURCE_EXHAUSTED,
    "REQUEST_CONFLICT": code_pb2.ALREADY_EXISTS,
    "EXECUTION_CANCELLED": code_pb2.CANCELLED,
    "EXECUTION_DEADLINE": code_pb2.DEADLINE_EXCEEDED,
    "EXECUTION_INTERRUPTED": code_pb2.UNAVAILABLE,
    "STORE_FAILED": code_pb2.INTERNAL,
    "INTERNAL": code_pb2.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks its rule, as google.rpc.BadRequest has it."""

    field: str
    description: str


class RemoteError(Exception):
    """A status that another process returned, read into fields.

    Attributes:
        code: Name of the gRPC code, for example "NOT_FOUND".
        reason: Reason of the ErrorInfo, or "" where the peer sent none.
        message: The peer's words.
        metadata: Of the ErrorInfo.
        violations: Of the BadRequest.
        retry_after_seconds: Of the RetryInfo, or None.
        status: The whole status, to pass on.
    """

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status
        self.code = code_pb2.Code.Name(code_pb2.Code.ValueType(status.code))
        self.message = status.message
        details = _Details.read(status)
        self.reason = details.reason
        self.metadata = details.metadata
        self.violations = details.violations
        self.retry_after_seconds = details.retry_after_seconds

    @classmethod
    def from_rpc(cls, error: grpc.RpcError | grpc.aio.AioRpcError) -> RemoteError:
        """Reads the status of a failed call, synchronous or not."""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads code, details and trailers only
        if status is None:
            status = status_pb2.Status(code=error.code().value[0], message=error.details() or error.code().name)
        return cls(status)


@dataclass(slots=True)
class _Details:
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    retry_after_seconds: float | None = None

    @classmethod
    def read(cls, status: status_pb2.Status) -> _Details:
        details = cls()
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        for packed in status.details:
            if packed.Unpack(info):
                details.reason, details.metadata = info.reason, dict(info.metadata)
            elif packed.Unpack(bad):
                details.violations += [Violation(each.field, each.description) for each in bad.field_violations]
            elif packed.Unpack(retry):
                details.retry_after_seconds = retry.retry_delay.ToTimedelta().total_seconds()
        return details


def status_of(error: CorunError | RemoteError) -> status_pb2.Status:
    """The status that tells a client of `error`; another process's status passes through unchanged."""
    if isinstance(error, RemoteError):
        return error.status
    violations = [Violation(error.field, error.message)] if error.field else []
    return make_status(
        error.reason,
        error.message,
        metadata=error.metadata,
        violations=violations,
        retry_after_seconds=error.retry_after_seconds,
    )


def make_status(
    reason: str,
    message: str,
    *,
    metadata: dict[str, str] | None = None,
    violations: list[Violation] | None = None,
    retry_after_seconds: float | None = None,
) -> status_pb2.Status:
    """A status with ErrorInfo, and BadRequest and RetryInfo where there is something to put in them."""
    details: list[error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo]
    details = [error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=metadata or {})]
    if violations:
        bad = error_details_pb2.BadRequest()
        for violation in violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        details.append(bad)
    if retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        holder = any_pb2.Any()
        holder.Pack(detail)
        packed.append(holder)
    return status_pb2.Status(code=CODE_BY_REASON[reason], message=message[:_LONGEST_MESSAGE], details=packed)
