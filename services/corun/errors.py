"""The errors that corun raises on purpose: each names what was wrong, with which value, and what to do.

They know nothing of gRPC; `corun.plumbing.status` turns them into statuses by their reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

_LONGEST_PROBLEM = 500


class CorunError(Exception):
    """Base of all of them. `reason` is a name of `ErrorReason` in error_reason.proto without its prefix."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        metadata: dict[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = metadata or {}
        self.retry_after_seconds = retry_after_seconds


class InvalidField(CorunError):
    """A field of a request breaks its rule."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field)
        self.problem = problem

    def inside(self, field: str) -> InvalidField:
        """The same problem, told of a field inside `field`."""
        return InvalidField(f"{field}.{self.field}", self.problem)


class UnknownModel(CorunError):
    """No source has a model of this name."""

    reason = "UNKNOWN_MODEL"

    def __init__(self, model_name: str, available: Sequence[str], *, field: str = "model_name") -> None:
        known = ", ".join(available)
        super().__init__(
            f"{field}: there is no model {model_name!r}; available: {known}",
            field=field,
            metadata={"model_name": model_name, "available": known},
        )


class ModelRefused(CorunError):
    """A model's file failed its checks. `problem` says which."""

    reason = "MODEL_REFUSED"

    def __init__(self, model_name: str, problem: str, *, field: str = "model_name") -> None:
        self.problem = _one_line(problem)
        super().__init__(
            f"model {model_name!r} is refused: {self.problem}",
            field=field,
            metadata={"model_name": model_name, "problem": self.problem},
        )


class ModelUnreachable(CorunError):
    """A source has the model but could not be reached: `problem` says why."""

    reason = "MODEL_UNREACHABLE"

    def __init__(self, model_name: str, problem: str, *, field: str = "model_name") -> None:
        self.problem = _one_line(problem)
        super().__init__(
            f"model {model_name!r} could not be had: {self.problem}; try again, or bring the model yourself",
            field=field,
            metadata={"model_name": model_name, "problem": self.problem},
        )


class PlatformUnavailable(CorunError):
    """No engine on this machine offers the platform."""

    reason = "PLATFORM_UNAVAILABLE"

    def __init__(
        self, platform: str, offered: Sequence[str], detail: str, *, retry_after_seconds: float | None = None
    ) -> None:
        known = ", ".join(dict.fromkeys(offered)) or "none"
        super().__init__(
            f"platform: {platform!r} is not available here ({detail}); available: {known}",
            field="platform",
            metadata={"platform": platform, "offered": known},
            retry_after_seconds=retry_after_seconds,
        )


class ModelNotLoaded(CorunError):
    """The model is in no lane."""

    reason = "MODEL_NOT_LOADED"

    def __init__(self, model_name: str) -> None:
        super().__init__(
            f"model_name: {model_name!r} is not loaded in any lane; nothing to unload",
            field="model_name",
            metadata={"model_name": model_name},
        )


class BrowserLost(CorunError):
    """The browser died or stopped answering."""

    reason = "BROWSER_LOST"

    def __init__(self, cause: str) -> None:
        super().__init__(f"the browser was lost: {cause}; try again", metadata={"cause": cause})
        self.cause = cause


class PoolFull(CorunError):
    """No connection became free in time."""

    reason = "POOL_FULL"

    def __init__(
        self, *, max_connections: int, waited_seconds: float, retry_after_seconds: float, pinned_count: int = 0
    ) -> None:
        held = f" ({pinned_count} of them hold shared tensors: release those)" if pinned_count else ""
        stayed = f"stayed busy for {waited_seconds:.1f} s" if waited_seconds else "are busy and the queue is full"
        super().__init__(
            f"all {max_connections} connections{held} {stayed}; try again in {retry_after_seconds:.2g} s "
            "or raise max_connections",
            metadata={"max_connections": str(max_connections)},
            retry_after_seconds=retry_after_seconds,
        )


class InferenceFailed(CorunError):
    """The runtime in the browser refused to load or run a model."""

    reason = "INFERENCE_FAILED"

    def __init__(self, model_name: str, detail: str) -> None:
        super().__init__(f"model {model_name!r} failed in the browser: {detail}", metadata={"model_name": model_name})


class StepTimedOut(CorunError):
    """The browser did not finish a step in its time."""

    reason = "STEP_TIMED_OUT"

    def __init__(self, step: str, seconds: float) -> None:
        super().__init__(f"{step} did not finish within {seconds:g} s", metadata={"step": step})


class ModelNeverObserved(CorunError):
    """The predictor knows neither the model's graph nor a run of it."""

    reason = "MODEL_NEVER_OBSERVED"

    def __init__(self, model_name: str) -> None:
        super().__init__(
            f"nothing is known of model {model_name!r}: send its features (ListModels has them) or observe a run",
            metadata={"model_name": model_name},
        )


class DatabaseLocked(CorunError):
    """Another process holds the database."""

    reason = "DATABASE_LOCKED"

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"the database {path} is held by {holder}: use that deployment with --target, or another db_path",
            metadata={"path": path, "holder": holder},
        )


class DatabaseFailed(CorunError):
    """The database refused a read or a write."""

    reason = "DATABASE_FAILED"

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"the database {path} failed: {detail}", metadata={"path": path})


class WriteQueueFull(CorunError):
    """Records come faster than they can be written."""

    reason = "WRITE_QUEUE_FULL"

    def __init__(self, capacity: int, *, retry_after_seconds: float) -> None:
        super().__init__(
            f"{capacity:,} records wait to be written and there is room for no more; nothing of this call was "
            f"recorded, try again in {retry_after_seconds:g} s",
            metadata={"capacity": str(capacity)},
            retry_after_seconds=retry_after_seconds,
        )


class QueryLimit(CorunError):
    """A query took or gave more than it may."""

    reason = "QUERY_LIMIT"

    def __init__(self, limit: str, advice: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(
            f"sql: {limit}; {advice}", field="sql", metadata={"limit": limit}, retry_after_seconds=retry_after_seconds
        )


class ExecutionConflict(CorunError):
    """An id is on record with other figures."""

    reason = "EXECUTION_CONFLICT"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution.execution_id: {execution_id!r} is on record with other figures",
            field="execution.execution_id",
            metadata={"execution_id": execution_id},
        )


class PeerUnavailable(CorunError):
    """A service that this one needs did not answer. It may be starting: a second later it is worth another try."""

    reason = "PEER_UNAVAILABLE"

    def __init__(self, service: str, target: str, detail: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(
            f"the {service} at {target} does not answer ({detail}); is it running?",
            metadata={"service": service, "target": target},
            retry_after_seconds=retry_after_seconds,
        )


class TensorNotFound(CorunError):
    """There is no such shared tensor."""

    reason = "TENSOR_NOT_FOUND"

    def __init__(self, message: str, *, tensor_name: str = "") -> None:
        field = message.partition(":")[0]
        super().__init__(message, field=field, metadata={"tensor_name": tensor_name} if tensor_name else None)


class TensorLost(CorunError):
    """The shared tensor went with the lane that held it."""

    reason = "TENSOR_LOST"

    def __init__(self, tensor_name: str, cause: str) -> None:
        super().__init__(
            f"the shared tensor {tensor_name!r} is lost ({cause}); share it again",
            metadata={"tensor_name": tensor_name, "cause": cause},
        )


class TensorExists(CorunError):
    """The name of a shared tensor is taken."""

    reason = "TENSOR_EXISTS"

    def __init__(self, tensor_name: str) -> None:
        super().__init__(
            f"a tensor is already shared as {tensor_name!r}; release it first or choose another name",
            metadata={"tensor_name": tensor_name},
        )


class TensorLimit(CorunError):
    """Shared tensors would take more than they may."""

    reason = "TENSOR_LIMIT"

    def __init__(self, wanted_bytes: int, taken_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{wanted_bytes:,} more bytes of shared tensors do not fit: {taken_bytes:,} of {limit_bytes:,} are taken; "
            "release others",
            metadata={"limit_bytes": str(limit_bytes)},
        )


class LeaseEnded(CorunError):
    """The lease ended before its holder was done."""

    reason = "LEASE_ENDED"

    def __init__(self, lease_id: str, cause: str) -> None:
        super().__init__(f"lease {lease_id} ended: {cause}; try again", metadata={"lease_id": lease_id})


class QueueDeadline(CorunError):
    """The caller's deadline passed in the queue."""

    reason = "QUEUE_DEADLINE"

    def __init__(self, waited_seconds: float) -> None:
        super().__init__(
            f"the deadline passed after {waited_seconds:.2f} s in the queue for a connection; nothing was run"
        )


class ExecutionNotFound(CorunError):
    """No execution of this id is kept."""

    reason = "EXECUTION_NOT_FOUND"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution_id: there is no execution {execution_id!r}, or it is no longer kept; ListExecutions has those "
            "that are",
            field="execution_id",
            metadata={"execution_id": execution_id},
        )


class TooManyExecutions(CorunError):
    """A client, or all together, have as many executions under way as they may."""

    reason = "TOO_MANY_EXECUTIONS"

    def __init__(self, whose: str, limit: int, *, retry_after_seconds: float) -> None:
        super().__init__(
            f"{whose} have {limit} executions that have not ended, which is the most there may be; "
            f"try again in {retry_after_seconds:.2g} s",
            metadata={"limit": str(limit)},
            retry_after_seconds=retry_after_seconds,
        )


class RequestConflict(CorunError):
    """A request_id was used before, for something else."""

    reason = "REQUEST_CONFLICT"

    def __init__(self, request_id: str, execution_id: str) -> None:
        super().__init__(
            f"request_id: {request_id!r} was used for another request, which became {execution_id}; take another one",
            field="request_id",
            metadata={"request_id": request_id, "execution_id": execution_id},
        )


class ExecutionCancelled(CorunError):
    """An execution was ended before its time. `cause` says by whom."""

    reason = "EXECUTION_CANCELLED"

    def __init__(self, execution_id: str, cause: str) -> None:
        super().__init__(
            f"execution {execution_id} was stopped: {cause}", metadata={"execution_id": execution_id, "cause": cause}
        )


class ExecutionDeadline(CorunError):
    """The deadline of the call that started an execution passed."""

    reason = "EXECUTION_DEADLINE"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} was stopped: the deadline of the call that started it passed; give it more time",
            metadata={"execution_id": execution_id},
        )


class ExecutionInterrupted(CorunError):
    """The orchestrator ended while an execution ran."""

    reason = "EXECUTION_INTERRUPTED"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} was under way when the orchestrator ended; run it again, with another "
            "request_id if it had one",
            metadata={"execution_id": execution_id},
        )


class StoreFailed(CorunError):
    """The orchestrator's own disk refused."""

    reason = "STORE_FAILED"

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"the orchestrator cannot write {path}: {detail}", metadata={"path": path})


class InstallFailed(CorunError):
    """Something that corun offers to install could not be had."""

    reason = "INTERNAL"

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what} could not be installed: {detail}")


def _one_line(text: str) -> str:
    """Words that may quote somebody's file, fit to be printed, logged and sent in a header."""
    # Cut first: a quotation can be megabytes long.
    words = " ".join(text[: 2 * _LONGEST_PROBLEM].split())
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)
    return line if len(line) <= _LONGEST_PROBLEM else f"{line[:_LONGEST_PROBLEM]}…"
