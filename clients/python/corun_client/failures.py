"""Failed calls to the client's errors: says which address was called and what would help."""

from __future__ import annotations

import grpc
from google.rpc import status_pb2

from corun.errors import CorunError as DomainError
from corun.plumbing.retrying import pause_seconds
from corun.plumbing.status import RemoteError, status_of
from corun_client.errors import CorunError, Unavailable, from_status


def from_rpc(
    error: grpc.RpcError, *, target: str, service: str, timeout_seconds: float, started: bool = False
) -> CorunError:
    """The error for a call that failed.

    Args:
        error: As gRPC raised it.
        target: HOST:PORT that was called.
        service: The service in words, for example "orchestrator".
        timeout_seconds: Deadline that the call had.
        started: True when an answer had begun to arrive.
    """
    remote = RemoteError.from_rpc(error)
    if remote.reason:
        return from_status(remote)
    said = remote.message
    words = {
        "UNIMPLEMENTED": f"the server at {target} does not host the {service}: give the address of a corun {service}",
        "UNAVAILABLE": f"the connection to {target} was lost ({said})"
        if started
        else f"nothing answers at {target} ({said}); start one with `corun up`",
        "DEADLINE_EXCEEDED": f"the {service} at {target} did not finish within {timeout_seconds:g} s; "
        "raise timeout_seconds if it needs longer",
    }
    return from_status(remote, message=words.get(remote.code, ""))


def pause_before_retry(error: CorunError, attempt: int, remaining_seconds: float, spread: float) -> float | None:
    """Seconds to wait before a call is made again; None where it is not to be.

    Only a full pool, and an orchestrator with enough to do, are come back to: they have run nothing, and say when to
    try again.
    """
    if error.reason not in {"POOL_FULL", "TOO_MANY_EXECUTIONS"}:
        return None
    return pause_seconds(error.retry_after_seconds, attempt=attempt, remaining_seconds=remaining_seconds, spread=spread)


def from_event(status: status_pb2.Status) -> CorunError:
    """The error for a stream that ended with a `failed` event."""
    return from_status(RemoteError(status))


def from_domain(error: DomainError | RemoteError) -> CorunError:
    """The error for what a service in this very process raised while it was built."""
    return from_status(RemoteError(status_of(error)))


def unfinished(target: str) -> CorunError:
    """The error for a stream that ended without saying how the work went."""
    return Unavailable(f"the server at {target} ended the stream without a result; was it stopped?")
