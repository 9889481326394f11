"""What all executions and comparisons work with."""

from __future__ import annotations

from dataclasses import dataclass

from corun.orchestrator.core.exploration import Exploration
from corun.orchestrator.core.validation import ExecutionCounter
from corun.orchestrator.delivery import Delivery
from corun.orchestrator.lessons import Lessons
from corun.orchestrator.live import Event, LiveExecution
from corun.orchestrator.peer_health import PeerHealth
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparations
from corun.orchestrator.recording import Recording
from corun.orchestrator.refinements import Refinements
from corun.orchestrator.turns import Turns


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Peers, turns and the way to the validator, shared by all executions.

    Attributes:
        record_wait_seconds: How long an execution waits for the validator before its record is left to be delivered.
        max_waiting_bytes: Most bytes of records that wait for the validator.
        pool_return_seconds: How long a comparison waits for a pool that stopped answering.
    """

    peers: Peers
    turns: Turns
    delivery: Delivery
    lessons: Lessons
    health: PeerHealth
    counter: ExecutionCounter
    refinements: Refinements
    preparations: Preparations
    exploration: Exploration
    record_wait_seconds: float
    max_waiting_bytes: int
    pool_return_seconds: float

    def recording(self, live: LiveExecution[Event]) -> Recording[Event]:
        """The records of one execution."""
        return Recording(
            live,
            self.delivery,
            wait_seconds=self.record_wait_seconds,
            max_bytes=self.max_waiting_bytes,
        )
