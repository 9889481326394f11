"""What executions and comparisons have in common, and what not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from corun.orchestrator.live import Event
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse


@dataclass(frozen=True, slots=True)
class Kind(Generic[Event]):
    """The number of the kind, and the class of its events."""

    number: orchestrator_pb2.ExecutionKind.ValueType
    event_class: type[Event]

    def event(self, payload: bytes) -> Event:
        """An event as kept."""
        return self.event_class.FromString(payload)


EXECUTION = Kind(orchestrator_pb2.EXECUTION_KIND_EXECUTION, ExecuteWithStrategyResponse)
COMPARISON = Kind(orchestrator_pb2.EXECUTION_KIND_COMPARISON, CompareStrategiesResponse)


def kind_numbered(number: int) -> Kind[ExecuteWithStrategyResponse] | Kind[CompareStrategiesResponse]:
    """The kind of a kept execution."""
    return EXECUTION if number == EXECUTION.number else COMPARISON
