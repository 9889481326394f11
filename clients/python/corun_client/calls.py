"""Calls of the orchestrator: the request, the deadline and how the answer is read.

Nothing is sent here; `pool_calls` and `validator_calls` have the calls of the other services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Unpack

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client import deadlines
from corun_client.conversion import requests
from corun_client.conversion.execution import comparison_report, execution_report
from corun_client.conversion.executions import (
    ExecutionEntry,
    MemberOutputReport,
    execution_entries,
    execution_entry,
    execution_state_of,
    member_output,
)
from corun_client.conversion.numbers import whole_number
from corun_client.conversion.options import (
    CompareOptions,
    ExecuteOptions,
    set_compare_options,
    set_execute_options,
)
from corun_client.conversion.reports import ComparisonReport, ExecutionReport
from corun_client.failures import from_event

ExecutionEvent = orchestrator_pb2.ExecuteWithStrategyResponse
ComparisonEvent = orchestrator_pb2.CompareStrategiesResponse

_Event = TypeVar("_Event")
_Report = TypeVar("_Report")

ORCHESTRATOR = "orchestrator"
POOL = "resource pool"
VALIDATOR = "validator"


@dataclass(frozen=True, slots=True)
class Call(Generic[_Report]):
    """A call with one answer.

    Attributes:
        service: The service in words.
        method: Name of the RPC.
        request: Its request.
        seconds: Its deadline.
        read: Makes the report of the response.
    """

    service: str
    method: str
    request: Any
    seconds: float
    read: Callable[[Any], _Report]


@dataclass(frozen=True, slots=True)
class StreamedCall(Generic[_Event, _Report]):
    """A call of the orchestrator whose answer is a stream of events.

    Attributes:
        method: Name of the RPC.
        request: Its request.
        seconds: Its deadline.
        outcome: Makes the report of the terminal event, raises for a failed one, gives None for others.
    """

    method: str
    request: Any
    seconds: float
    outcome: Callable[[_Event], _Report | None]


def execute(
    *,
    models: Sequence[requests.ModelConfig],
    platform: str,
    strategy: str | None,
    goal: str,
    iterations: int,
    validation: orchestrator_pb2.ValidationPolicy | None,
    browser_preferences: Mapping[str, str] | None,
    timeout_seconds: float | None,
    **options: Unpack[ExecuteOptions],
) -> StreamedCall[ExecutionEvent, ExecutionReport]:
    """Runs models together."""
    request = requests.execute_request(
        workload=requests.workload_of(models, iterations=iterations),
        platform=platform,
        strategy=strategy,
        goal=goal,
        validation=validation,
        browser_preferences=browser_preferences,
    )
    set_execute_options(request, options)
    outputs: list[MemberOutputReport] = []

    def outcome(event: ExecutionEvent) -> ExecutionReport | None:
        if event.HasField("failed"):
            raise from_event(event.failed)
        if event.HasField("pool_event") and event.pool_event.HasField("output"):
            outputs.append(member_output(event.pool_event.output))
        if not event.HasField("completed"):
            return None
        report = execution_report(request, event.completed)
        if request.return_outputs:
            report["outputs"] = outputs
        return report

    seconds = deadlines.deadline(timeout_seconds, deadlines.EXECUTE)
    return StreamedCall("ExecuteWithStrategy", request, seconds, outcome)


def compare(
    *,
    models: Sequence[requests.ModelConfig],
    platform: str,
    goal: str,
    strategies: Sequence[str],
    iterations: int,
    rounds: int | None,
    browser_preferences: Mapping[str, str] | None,
    timeout_seconds: float | None,
    **options: Unpack[CompareOptions],
) -> StreamedCall[ComparisonEvent, ComparisonReport]:
    """Runs models under several strategies."""
    request = requests.compare_request(
        workload=requests.workload_of(models, iterations=iterations),
        platform=platform,
        goal=goal,
        strategies=strategies,
        rounds=rounds,
        browser_preferences=browser_preferences,
    )
    set_compare_options(request, options)

    def outcome(event: ComparisonEvent) -> ComparisonReport | None:
        if event.HasField("failed"):
            raise from_event(event.failed)
        return comparison_report(request, event.completed) if event.HasField("completed") else None

    seconds = deadlines.deadline(timeout_seconds, deadlines.COMPARE)
    return StreamedCall("CompareStrategies", request, seconds, outcome)


def watch_execution(
    execution_id: str, *, after_sequence: int, timeout_seconds: float | None
) -> Call[ExecutionEvent | ComparisonEvent]:
    """Events of an execution or comparison that somebody has started; the answer is a stream."""
    request = orchestrator_pb2.WatchExecutionRequest(
        execution_id=execution_id, after_sequence=whole_number(after_sequence, parameter="after_sequence")
    )

    def read(response: orchestrator_pb2.WatchExecutionResponse) -> ExecutionEvent | ComparisonEvent:
        return response.execution if response.HasField("execution") else response.comparison

    return Call(ORCHESTRATOR, "WatchExecution", request, deadlines.deadline(timeout_seconds, deadlines.WATCH), read)


def cancel_execution(execution_id: str, timeout_seconds: float | None) -> Call[ExecutionEntry]:
    """Ends an execution or comparison."""
    request = orchestrator_pb2.CancelExecutionRequest(execution_id=execution_id)
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "CancelExecution", request, seconds, lambda answer: execution_entry(answer.execution))


def executions(limit: int, state: str | None, timeout_seconds: float | None) -> Call[list[ExecutionEntry]]:
    """The newest executions and comparisons that are kept."""
    request = orchestrator_pb2.ListExecutionsRequest(
        page_size=whole_number(limit, parameter="limit"), state=execution_state_of(state)
    )
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "ListExecutions", request, seconds, lambda answer: execution_entries(answer.executions))
