"""One workload from its acceptance to its result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from corun.errors import CorunError, PeerUnavailable
from corun.orchestrator.afterwards import MANY_RUNS, noted
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.converters import judgement_of
from corun.orchestrator.core.choice import Choice, choose, without_prediction
from corun.orchestrator.core.configuration import Configuration, by_thresholds
from corun.orchestrator.core.events import EventFilter
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.core.validation import ValidationPolicy
from corun.orchestrator.lessons import Lesson
from corun.orchestrator.live import LiveExecution
from corun.orchestrator.outlook import Outlook
from corun.orchestrator.plan_run import carry_out
from corun.orchestrator.preparation import Preparation
from corun.orchestrator.records import execution_record
from corun.orchestrator.steps import CommonSteps
from corun.plumbing.names import platform_name
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.v1.orchestrator_service_pb2 import ExecuteWithStrategyResponse as Event


@dataclass(frozen=True, slots=True)
class ExecutionOrder:
    """What the caller wants.

    Attributes:
        strategy: None for the best by prediction.
        goal: What the choice optimises.
        policy: When to validate.
        configuration: What bounds the choice.
        by_thresholds: True to choose by the thresholds alone where the predictor does not answer.
        inputs: Of the workload's models.
        return_outputs: True to send outputs.
        return_measurements: False to leave single runs, lanes and iterations out.
    """

    strategy: Strategy | None
    goal: Goal
    policy: ValidationPolicy
    configuration: Configuration
    by_thresholds: bool
    inputs: tuple[pool_pb2.MemberInput, ...]
    return_outputs: bool
    return_measurements: bool


class Execution:
    """Runs one workload. `run` once; cancelling it stops the work."""

    def __init__(
        self,
        context: ExecutionContext,
        preparation: Preparation,
        order: ExecutionOrder,
        *,
        client: str,
        live: LiveExecution[Event],
    ) -> None:
        self._context = context
        self._preparation = preparation
        self._order = order
        self._live = live
        self._recording = context.recording(live)
        self._filter = EventFilter()
        self._steps = CommonSteps(
            context,
            preparation,
            client=client,
            kept=live.accepted,
            on_queued=lambda queued: live.emit(Event(queued=queued)),
        )

    async def run(self) -> Event:
        """Emits what happens, and gives the terminal event of an execution that went well."""
        outlook, silence = await self._steps.look_ahead(
            self._order.configuration,
            goal=self._order.goal,
            on_profiled=lambda profiled: self._live.emit(Event(profiled=profiled)),
        )
        choice = self._choice(outlook, silence)
        self._live.emit(Event(chosen=outlook.announced(choice)))
        plan = outlook.plan_of(choice.strategy)
        async with self._steps.turn(plan, iterations=self._preparation.iterations) as queue_time_ms:
            measurement = await self._carry_out(plan)
        result = orchestrator_pb2.ExecutionResult(
            execution_id=self._live.execution_id,
            chosen=outlook.announced(choice),
            predicted=outlook.prediction_of(choice.strategy),
            measured=self._shown(measurement),
            models=await self._models_as_run(measurement),
            plan=outlook.plan_of(choice.strategy),
            queue_time_ms=queue_time_ms,
            record_queued=True,
            degraded=[] if silence is None else ["predictor"],
            warnings=[] if silence is None else [f"not predicted: {silence.message}"],
        )
        result.warnings.extend(noted(self._preparation, [measurement]))
        result.warnings.extend(self._context.refinements.warnings(self._preparation.environment.platform))
        await self._conclude(result, outlook, choice, measurement)
        return Event(completed=result)

    def _choice(self, outlook: Outlook, silence: PeerUnavailable | None) -> Choice:
        asked = self._order.strategy
        if outlook.recommended is not None:
            choice = choose(
                asked=asked,
                recommended=outlook.recommended,
                reason=outlook.reason,
                objections=[] if asked is None else outlook.objections(asked),
            )
            return self._context.exploration.tried(choice, outlook.eligible(self._order.goal))
        if asked is None and not self._order.by_thresholds and silence is not None:
            raise silence
        return without_prediction(
            asked=asked,
            by_thresholds=by_thresholds(self._order.configuration, model_count=len(self._preparation.models)),
            objections=[] if asked is None else outlook.objections(asked),
        )

    def _request(self, plan: core_pb2.Plan) -> pool_pb2.ExecutePlanRequest:
        return pool_pb2.ExecutePlanRequest(
            plan=plan,
            platform=self._preparation.environment.platform,
            iterations=self._preparation.iterations,
            browser_preferences=self._preparation.preferences,
            inputs=self._order.inputs,
            return_outputs=self._order.return_outputs,
        )

    async def _carry_out(self, plan: core_pb2.Plan) -> pool_pb2.Measurement:
        try:
            return await carry_out(self._context.peers, self._request(plan), self._forward)
        except (PeerUnavailable, RemoteError):
            self._context.preparations.forget()
            raise

    async def _models_as_run(self, measurement: pool_pb2.Measurement) -> Sequence[pool_pb2.ModelInfo]:
        """The models, looked at once more where one was changed since; a warning says so."""
        if not self._preparation.changed(measurement):
            return self._preparation.models
        known, prepared = self._context.preparations, self._preparation
        known.forget()
        try:
            again = await known.of(prepared.workload, prepared.environment.platform, prepared.preferences)
        except (CorunError, RemoteError):
            return prepared.models
        return again.models

    def _forward(self, event: pool_pb2.ExecutePlanResponse) -> None:
        if not self._filter.passes(event.WhichOneof("event")):
            return
        if event.HasField("measured"):
            shown = pool_pb2.ExecutePlanResponse(
                sequence=event.sequence, event_time=event.event_time, measured=self._shown(event.measured)
            )
            self._live.emit(Event(pool_event=shown))
        else:
            self._live.emit(Event(pool_event=event))

    def _shown(self, measurement: pool_pb2.Measurement) -> pool_pb2.Measurement:
        if self._order.return_measurements:
            return measurement
        shown = pool_pb2.Measurement()
        shown.CopyFrom(measurement)
        for detail in ("runs", "lanes", "iteration_latencies_ms"):
            shown.ClearField(detail)
        return shown

    async def _conclude(
        self,
        result: orchestrator_pb2.ExecutionResult,
        outlook: Outlook,
        choice: Choice,
        measurement: pool_pb2.Measurement,
    ) -> None:
        """Lets it be taught to the predictor, puts it on record, and validates it if that is due."""
        measured = (outlook.plan_of(choice.strategy), measurement)
        self._context.lessons.add(Lesson(self._live.execution_id, self._preparation, measured))
        await self._record(result, outlook, choice, measurement)
        result.warnings.extend(self._recording.warnings)
        if self._recording.postponed:
            result.degraded.append("validator")

    async def _record(
        self,
        result: orchestrator_pb2.ExecutionResult,
        outlook: Outlook,
        choice: Choice,
        measurement: pool_pb2.Measurement,
    ) -> None:
        def make() -> validator_pb2.ExecutionRecord:
            return execution_record(
                execution_id=self._live.execution_id,
                outlook=outlook,
                goal=self._order.goal,
                strategy=choice.strategy,
                strategy_chosen=choice.automatic,
                explored=choice.explored,
                measurement=measurement,
                queue_time_ms=result.queue_time_ms,
            )

        record = await asyncio.to_thread(make) if len(measurement.runs) > MANY_RUNS else make()
        platform = platform_name(self._preparation.environment.platform)
        is_due = self._order.policy.is_due(self._context.counter.next_number(platform)) and outlook.is_predicted
        request = self._told(record, validated=is_due)
        judgement = self._judgement(record) if is_due else None
        if self._context.delivery.is_prompt and (judgement is not None or not is_due):
            # Nobody has to wait until the validator has taken what it is not asked anything about.
            if judgement is not None:
                result.errors.CopyFrom(judgement.errors)
                self._live.emit(Event(validated=judgement))
            result.record_queued = self._recording.settle_with_end(request, what="not recorded", counted_on=platform)
            return
        answers = await self._recording.settle(
            Event(completed=result), [request], what="not recorded", counted_on=platform
        )
        for coming in answers:
            answer = await self._recording.answer(coming, otherwise="not recorded")
            result.recorded = answer is not None
            if isinstance(answer, validator_pb2.ValidatePredictionResponse):
                result.errors.CopyFrom(answer.errors)
                self._live.emit(Event(validated=answer))
        result.record_queued = self._recording.postponed and not result.recorded

    def _judgement(self, record: validator_pb2.ExecutionRecord) -> validator_pb2.ValidatePredictionResponse | None:
        """The validator's judgement, where it is known beforehand."""
        threshold = self._order.policy.error_threshold
        return None if threshold is None else judgement_of(record, error_threshold=threshold)

    def _told(
        self, record: validator_pb2.ExecutionRecord, *, validated: bool
    ) -> validator_pb2.RecordExecutionRequest | validator_pb2.ValidatePredictionRequest:
        """What the validator is told: validating a new execution puts it on record too."""
        if not validated:
            return validator_pb2.RecordExecutionRequest(execution=record)
        return validator_pb2.ValidatePredictionRequest(
            execution=record, error_threshold=self._order.policy.error_threshold
        )
