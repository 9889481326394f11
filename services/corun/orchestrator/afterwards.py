"""What follows a measurement: telling the validator and the predictor. None of it fails an execution."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from corun.errors import PeerUnavailable
from corun.orchestrator.converters import fallbacks_of, runs_of
from corun.orchestrator.core.cautions import cautions
from corun.orchestrator.core.observations import Observation, observed_alone
from corun.orchestrator.executed import engines_of, executed_plan
from corun.orchestrator.forecast import teach
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

# A plan and what carrying it out measured.
Measured: TypeAlias = tuple[core_pb2.Plan, pool_pb2.Measurement]

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Afterwards:
    """Records, validates and teaches; what fails becomes one of `warnings`.

    A validator that does not answer is not asked again: a comparison would wait for it once a round.
    """

    def __init__(self, peers: Peers, preparation: Preparation) -> None:
        self._peers = peers
        self._preparation = preparation
        self._validator_silent = False
        self.warnings: list[str] = []

    async def record(self, record: validator_pb2.ExecutionRecord) -> bool:
        """Puts the execution on record; False when it is not."""
        request = validator_pb2.RecordExecutionRequest(execution=record)
        return await self._tell("not recorded", self._peers.record_execution, request) is not None

    async def validate(
        self, record: validator_pb2.ExecutionRecord, *, error_threshold: float | None
    ) -> validator_pb2.ValidatePredictionResponse | None:
        """Holds the record's prediction against its measurement; None when that failed."""
        request = validator_pb2.ValidatePredictionRequest(execution=record, error_threshold=error_threshold)
        return await self._tell("not validated", self._peers.validate_prediction, request)

    async def record_impact(self, request: validator_pb2.RecordOptimizationImpactRequest) -> bool:
        """Puts a comparison on record; False when it is not."""
        return await self._tell("comparison not recorded", self._peers.record_impact, request) is not None

    async def learn(self, measured: Sequence[Measured]) -> None:
        """Teaches the predictor every execution, and the runs that had no other beside them, engine by engine."""
        lessons = await asyncio.to_thread(_lessons, measured)
        for engine, (observations, executions) in lessons.items():
            try:
                ignored = await teach(
                    self._peers, self._preparation, observations, engine=engine, executions=executions
                )
            except (PeerUnavailable, RemoteError) as error:
                self.warnings.append(f"not learnt from: {error.message}")
            else:
                self.warnings += [f"not learnt from: {reason}" for reason in ignored]

    def note(self, measurements: Sequence[pool_pb2.Measurement]) -> None:
        """Adds a warning for each thing that did not go as foreseen, once."""
        for measurement in measurements:
            found = cautions(
                predicted_engine=self._preparation.environment.engine,
                ran_in=((run.model_name, run.engine) for run in runs_of(measurement)),
                fallbacks=fallbacks_of(measurement),
                retry_count=measurement.retry_count,
                run_count=len(measurement.runs),
            )
            self.warnings += [each for each in found if each not in self.warnings]

    async def _tell(
        self, otherwise: str, call: Callable[[_Request], Awaitable[_Response]], request: _Request
    ) -> _Response | None:
        if self._validator_silent:
            return None
        try:
            return await call(request)
        except (PeerUnavailable, RemoteError) as error:
            self._validator_silent = isinstance(error, PeerUnavailable)
            self.warnings.append(f"{otherwise}: {error.message}")
            return None


def _lessons(measured: Sequence[Measured]) -> dict[str, tuple[list[Observation], list[predictor_pb2.ExecutedPlan]]]:
    """Runs that were alone, and whole executions, by the engine that ran them."""
    runs = [run for _, measurement in measured for run in runs_of(measurement)]
    lessons: dict[str, tuple[list[Observation], list[predictor_pb2.ExecutedPlan]]] = {
        engine: (observed_alone([run for run in runs if run.engine == engine]), [])
        for engine in dict.fromkeys(run.engine for run in runs)
    }
    for plan, measurement in measured:
        executed = executed_plan(plan, measurement)
        if executed is not None:
            (engine,) = engines_of(measurement)
            lessons.setdefault(engine, ([], []))[1].append(executed)
    return lessons
