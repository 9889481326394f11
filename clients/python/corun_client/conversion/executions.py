"""Kept executions, and what models gave back, as plain dicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.inference import ItemReport, item_report
from corun_client.conversion.names import platform_name
from corun_client.conversion.tensors import Array, array_of
from corun_client.errors import InvalidArgument

_STATE = "EXECUTION_STATE_"


class ExecutionEntry(TypedDict):
    """An execution or comparison that is kept. Times are ISO 8601; `end_time` is "" while it runs.

    `kind` is execution or comparison; `state` running, completed, failed, cancelled or interrupted.
    """

    execution_id: str
    kind: str
    state: str
    request_id: str
    client_id: str
    hardware_platform: str
    model_names: list[str]
    create_time: str
    end_time: str
    last_sequence: int


class MemberOutputReport(TypedDict):
    """What a model of the workload gave back: outputs of the graph by name, and what they mean item by item."""

    member: int
    model_name: str
    outputs: dict[str, Array]
    items: list[ItemReport]


def execution_state_of(name: str | None) -> orchestrator_pb2.ExecutionState.ValueType:
    """A state of ExecutionEntry; None is any. Raises InvalidArgument for anything else."""
    states = orchestrator_pb2.ExecutionState
    if name is None:
        return states.EXECUTION_STATE_UNSPECIFIED
    known = {each.removeprefix(_STATE).lower(): value for each, value in states.items() if value}
    if name not in known:
        raise InvalidArgument.of("state", f"{name!r} is not known; allowed: {', '.join(known)}")
    return known[name]


def execution_entry(summary: orchestrator_pb2.ExecutionSummary) -> ExecutionEntry:
    """One kept execution."""
    return {
        "execution_id": summary.execution_id,
        "kind": orchestrator_pb2.ExecutionKind.Name(summary.kind).removeprefix("EXECUTION_KIND_").lower(),
        "state": orchestrator_pb2.ExecutionState.Name(summary.state).removeprefix(_STATE).lower(),
        "request_id": summary.request_id,
        "client_id": summary.client_id,
        "hardware_platform": platform_name(summary.platform),
        "model_names": [model.model_name for model in summary.workload.models],
        "create_time": summary.create_time.ToJsonString(),
        "end_time": summary.end_time.ToJsonString() if summary.HasField("end_time") else "",
        "last_sequence": summary.last_sequence,
    }


def execution_entries(summaries: Iterable[orchestrator_pb2.ExecutionSummary]) -> list[ExecutionEntry]:
    """Kept executions, in order."""
    return [execution_entry(each) for each in summaries]


def member_output(output: pool_pb2.MemberOutput) -> MemberOutputReport:
    """What one model gave back."""
    return {
        "member": output.member,
        "model_name": output.model_name,
        "outputs": {tensor.name: array_of(tensor) for tensor in output.outputs},
        "items": [item_report(item) for item in output.results],
    }
