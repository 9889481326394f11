"""What the client raises: one line that names what was wrong, with the status's fields beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from corun.plumbing.status import RemoteError


class FieldViolation(NamedTuple):
    """A field or parameter that breaks its rule, and which rule."""

    field: str
    description: str


class CorunError(Exception):
    """Base of everything that the client raises on purpose.

    Attributes:
        code: Name of the gRPC status code, for example "NOT_FOUND".
        reason: Name in error_reason.proto without its prefix, or "" where there is none.
        message: What was wrong and what to do, in one line.
        violations: Fields that break their rules.
        metadata: Figures and names behind the reason.
        retry_after_seconds: When to come back, or None.
    """

    code = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.message = " ".join(message.split())
        super().__init__(self.message)
        self.code = code or type(self).code
        self.reason = reason
        self.violations = list(violations)
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds


class InvalidArgument(CorunError, ValueError):
    """A parameter breaks its rule, here or by the service's judgement, or the model that it names is refused."""

    code = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, parameter: str, problem: str) -> InvalidArgument:
        """The error for one parameter that was refused before anything was sent."""
        return cls(f"{parameter}: {problem}", reason="INVALID_FIELD", violations=[FieldViolation(parameter, problem)])


class NotFound(CorunError, LookupError):
    """There is no model of this name, or it is not loaded."""

    code = "NOT_FOUND"


class AlreadyExists(CorunError):
    """An id is on record with other figures."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(CorunError):
    """The deployment cannot do it as it is: a platform is missing, a database is held by another."""

    code = "FAILED_PRECONDITION"


class ResourceExhausted(CorunError):
    """Every browser stayed busy, or a message was too large."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(CorunError, ConnectionError):
    """Nothing answers, a browser or a service was lost, or the source of a model is out of reach. It may go well the
    next time."""

    code = "UNAVAILABLE"


class DeadlineExceeded(CorunError, TimeoutError):
    """The call or one of its steps did not finish in its time."""

    code = "DEADLINE_EXCEEDED"


class Cancelled(CorunError):
    """The call was given up before it ended."""

    code = "CANCELLED"


class NotHosted(CorunError):
    """Something answers at the target, but not the service that the call needs."""

    code = "UNIMPLEMENTED"


class Internal(CorunError):
    """A defect in corun, or a database that refused a write; the server's log has the details."""

    code = "INTERNAL"


class NotInitialized(CorunError, RuntimeError):
    """The object is not connected: before `initialize()` or after `close()`."""

    code = "FAILED_PRECONDITION"


_BY_CODE: dict[str, type[CorunError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
        Cancelled,
        NotHosted,
        Internal,
    )
}


def from_status(remote: RemoteError, *, message: str = "") -> CorunError:
    """The client's error for a status that a service returned; `message` replaces the service's words."""
    return _BY_CODE.get(remote.code, CorunError)(
        message or remote.message,
        code=remote.code,
        reason=remote.reason,
        violations=[FieldViolation(each.field, each.description) for each in remote.violations],
        metadata=remote.metadata,
        retry_after_seconds=remote.retry_after_seconds,
    )
