"""The records and the end of a comparison: the verdict, and what is told to the validator and the predictor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from google.protobuf.message import Message

from corun.errors import PeerUnavailable
from corun.orchestrator.afterwards import MANY_RUNS, learn, noted
from corun.orchestrator.contender import Contender
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.converters import goal_message, recorded_performance, strategy_message
from corun.orchestrator.core.comparison import Verdict, judge, median_figures, typical_round
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.live import LiveExecution
from corun.orchestrator.outlook import Outlook
from corun.orchestrator.records import execution_record
from corun.plumbing.status import RemoteError
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse as Event


class Conclusion:
    """Puts rounds on record as they come, and judges at the end.

    Args:
        context: What it works with.
        live: The comparison.
        outlook: What was expected.
        contenders: The strategies that are compared.
        recommended: What the predictor recommends of them; None where it did not answer.
        goal: What "best" means.
        error_threshold: Largest acceptable error of a prediction.
    """

    def __init__(
        self,
        context: ExecutionContext,
        live: LiveExecution[Event],
        outlook: Outlook,
        contenders: Sequence[Contender],
        *,
        recommended: Strategy | None,
        goal: Goal,
        error_threshold: float | None,
    ) -> None:
        self._context = context
        self._live = live
        self._outlook = outlook
        self._contenders = contenders
        self._recommended = recommended
        self._goal = goal
        self._error_threshold = error_threshold
        self._recording = context.recording(live)
        self._warnings: list[str] = []
        self._degraded: list[str] = []

    def note_silence(self, silence: PeerUnavailable) -> None:
        """The predictor did not answer."""
        self._warnings.append(f"not predicted: {silence.message}")
        self._degraded.append("predictor")

    async def record_round(
        self, contender: Contender, number: int, measurement: pool_pb2.Measurement, queue_time_ms: float
    ) -> None:
        """Keeps a round for the validator, as an execution of its own; the validator is not waited for."""

        def make() -> validator_pb2.ExecutionRecord:
            return execution_record(
                execution_id=f"{self._live.execution_id}-{contender.strategy}-{number}",
                outlook=self._outlook,
                goal=self._goal,
                strategy=contender.strategy,
                strategy_chosen=False,
                measurement=measurement,
                queue_time_ms=queue_time_ms,
            )

        record = await asyncio.to_thread(make) if len(measurement.runs) > MANY_RUNS else make()
        request = validator_pb2.RecordExecutionRequest(execution=record)
        if await self._recording.keep(request, what="not recorded"):
            contender.records[len(contender.measurements) - 1] = record

    async def reach(self, round_count: int, reason: str) -> Event:
        """Judges the strategies that did not fail, teaches the predictor, and puts the comparison on record.

        Raises:
            RemoteError: every strategy failed; it carries the first one's status.
        """
        well = [each for each in self._contenders if each.error is None]
        if not well:
            raise RemoteError(next(each.error for each in self._contenders if each.error is not None))
        verdict = judge({each.strategy: each.rounds() for each in well}, recommended=self._recommended, goal=self._goal)
        measured = [(each.plan, one) for each in self._contenders for one in each.measurements]
        self._warnings += noted(self._outlook.preparation, [measurement for _, measurement in measured])
        self._warnings += self._context.refinements.warnings(self._outlook.preparation.environment.platform)
        result = orchestrator_pb2.ComparisonResult(
            comparison_id=self._live.execution_id,
            best=strategy_message(verdict.best),
            tied=map(strategy_message, verdict.tied),
            recommendation_correct=verdict.recommendation_correct,
            improvement_percent=verdict.improvement_percent,
            strategies=[each.outcome(self._goal, verdict.behind.get(each.strategy)) for each in self._contenders],
            models=self._outlook.preparation.models,
            round_count=round_count,
            rounds_reason=reason,
            degraded=self._degraded,
            warnings=self._warnings,
        )
        if self._recommended is not None:
            result.recommended = strategy_message(self._recommended)
        lesson = asyncio.ensure_future(learn(self._context.peers, self._outlook.preparation, measured))
        try:
            await self._record(result, well, verdict)
            result.warnings.extend(f"not learnt from: {reason}" for reason in await lesson)
        finally:
            lesson.cancel()
        result.warnings.extend(self._recording.warnings)
        if self._recording.postponed:
            result.degraded.append("validator")
        return Event(completed=result)

    async def _record(
        self, result: orchestrator_pb2.ComparisonResult, well: Sequence[Contender], verdict: Verdict
    ) -> None:
        requests: list[Message] = [*self._validations(well)]
        unfit = self._unfit_for_record(well, verdict)
        if unfit:
            result.warnings.append(f"comparison not recorded: {unfit}")
        else:
            requests.append(self._impact(well, verdict))
        answers = await self._recording.settle(Event(completed=result), requests, what="comparison not recorded")
        result.record_queued = False
        for position, coming in enumerate(answers):
            is_impact = not unfit and position == len(answers) - 1
            words = "comparison not recorded" if is_impact else "not validated"
            answer = await self._recording.answer(coming, otherwise=words)
            if is_impact:
                result.recorded = answer is not None
        result.record_queued = self._recording.postponed and not unfit and not result.recorded

    def _validations(self, well: Sequence[Contender]) -> list[validator_pb2.ValidatePredictionRequest]:
        """One round stands for its strategy: validating each would count one comparison many times over."""
        records = [each.records.get(typical_round(each.rounds(), self._goal)) for each in well]
        return [
            validator_pb2.ValidatePredictionRequest(execution=record, error_threshold=self._error_threshold)
            for record in records
            if record is not None and record.HasField("predicted")
        ]

    def _unfit_for_record(self, well: Sequence[Contender], verdict: Verdict) -> str:
        if self._recommended is None:
            return "the predictor did not answer, so there is no recommendation to judge"
        if not verdict.gain_is_known:
            return f"{self._recommended}, the recommended strategy, failed, so its gain is not known"
        if len(well) == 1:
            return "only one strategy was measured, so there is nothing that it was better than"
        return ""

    def _impact(self, well: Sequence[Contender], verdict: Verdict) -> validator_pb2.RecordOptimizationImpactRequest:
        assert self._recommended is not None
        outcomes = [
            validator_pb2.StrategyOutcome(
                strategy=strategy_message(each.strategy),
                measured=recorded_performance(median_figures(each.rounds())),
            )
            for each in well
        ]
        return validator_pb2.RecordOptimizationImpactRequest(
            comparison_id=self._live.execution_id,
            workload=self._outlook.preparation.workload,
            platform=self._outlook.preparation.environment.platform,
            goal=goal_message(self._goal),
            recommended=strategy_message(self._recommended),
            best=strategy_message(verdict.best),
            recommendation_correct=verdict.recommendation_correct,
            improvement_percent=verdict.improvement_percent,
            outcomes=outcomes,
        )
