"""Failures after a stream has begun, as statuses inside it."""

from __future__ import annotations

import structlog
from google.rpc import status_pb2

from corun.errors import CorunError
from corun.plumbing.status import RemoteError, make_status, status_of

_log = structlog.get_logger(__name__)


def failure_status(error: Exception, *, subject: str) -> status_pb2.Status:
    """The status that a terminal event carries; a defect is logged and named without its traceback."""
    if isinstance(error, CorunError | RemoteError):
        return status_of(error)
    _log.error("failed by a defect", subject=subject, exc_info=error)
    return make_status("INTERNAL", f"internal error in {subject}: {type(error).__name__}; the server's log has it")
