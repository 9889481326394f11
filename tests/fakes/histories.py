"""The allowed histories of executions and comparisons, as a model to hold event logs against."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse

Event = ExecuteWithStrategyResponse | CompareStrategiesResponse

_LETTERS = {
    "accepted": "A",
    "profiled": "P",
    "queued": "Q",
    "chosen": "C",
    "pool_event": "E",
    "strategy_measured": "M",
    "validated": "V",
    "completed": "T",
    "failed": "F",
}

# What went well, in full; what failed may have stopped anywhere on the way.
_EXECUTION = re.compile("A(Q?P+)?CQ?E+V?T")
_COMPARISON = re.compile("A(Q?P+)?C((Q?E+)+M?)+T")
_FAILED_EXECUTION = re.compile("A(Q(P*))?(P+)?(C(Q?(E*V?)))?F")
_FAILED_COMPARISON = re.compile("A(Q(P*))?(P+)?(C(Q|E+M?)*)?F")

_STATES = orchestrator_pb2.ExecutionState
_ENDS = {
    "T": {_STATES.EXECUTION_STATE_COMPLETED},
    "F": {
        _STATES.EXECUTION_STATE_FAILED,
        _STATES.EXECUTION_STATE_CANCELLED,
        _STATES.EXECUTION_STATE_INTERRUPTED,
    },
}


def assert_allowed(events: Sequence[Event], summary: orchestrator_pb2.ExecutionSummary) -> None:
    """The log of an execution that has ended is one that there may be, and the summary agrees with it."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    times = [event.event_time.ToNanoseconds() for event in events]
    assert times == sorted(times)
    history = "".join(_LETTERS[event.WhichOneof("event") or ""] for event in events)
    is_execution = summary.kind == orchestrator_pb2.EXECUTION_KIND_EXECUTION
    whole, failed = (_EXECUTION, _FAILED_EXECUTION) if is_execution else (_COMPARISON, _FAILED_COMPARISON)
    assert (whole if history.endswith("T") else failed).fullmatch(history), history
    assert summary.state in _ENDS[history[-1]]
    assert summary.last_sequence == len(events)
