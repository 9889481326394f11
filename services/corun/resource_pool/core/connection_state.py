"""The states of a connection, and which may follow which: the one place that says so."""

from __future__ import annotations

from enum import StrEnum


class ConnectionState(StrEnum):
    """Where a browser is in its life.

    starting -> ready <-> leased: it serves. leased -> draining: it is closed when its caller is done with it.
    Anything -> unhealthy: it died or stopped answering; nobody gets it any more and its processes are being ended.
    closed is the end.
    """

    STARTING = "starting"
    READY = "ready"
    LEASED = "leased"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    CLOSED = "closed"


_S = ConnectionState

FOLLOWERS: dict[ConnectionState, frozenset[ConnectionState]] = {
    _S.STARTING: frozenset({_S.READY, _S.UNHEALTHY, _S.CLOSED}),
    _S.READY: frozenset({_S.LEASED, _S.UNHEALTHY, _S.CLOSED}),
    _S.LEASED: frozenset({_S.READY, _S.DRAINING, _S.UNHEALTHY, _S.CLOSED}),
    _S.DRAINING: frozenset({_S.UNHEALTHY, _S.CLOSED}),
    _S.UNHEALTHY: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
}

# A connection in one of these takes one of the pool's places.
ALIVE = frozenset({_S.STARTING, _S.READY, _S.LEASED, _S.DRAINING})


def follow(state: ConnectionState, wanted: ConnectionState) -> ConnectionState:
    """The next state.

    Raises:
        ValueError: `wanted` may not follow `state`; that is a defect of the caller.
    """
    if wanted not in FOLLOWERS[state]:
        raise ValueError(f"a connection that is {state} cannot become {wanted}")
    return wanted
