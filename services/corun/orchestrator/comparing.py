"""One comparison of strategies from its acceptance to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corun.errors import CorunError, PeerUnavailable
from corun.orchestrator.concluding import Conclusion
from corun.orchestrator.contender import Contender
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.converters import strategy_message
from corun.orchestrator.core.choice import Choice, favourite, without_prediction
from corun.orchestrator.core.comparison import rotated
from corun.orchestrator.core.configuration import Configuration
from corun.orchestrator.core.events import EventFilter
from corun.orchestrator.core.rounds import RoundPolicy, reason_to_stop
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.failures import failure_status
from corun.orchestrator.live import LiveExecution
from corun.orchestrator.outlook import Outlook
from corun.orchestrator.plan_run import carry_out
from corun.orchestrator.preparation import Preparation
from corun.orchestrator.steps import CommonSteps
from corun.plumbing.status import RemoteError
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse as Event

# Events of a warm-up that tell of getting ready. Its figures are not counted, so they are not shown.
_GETTING_READY = frozenset({"leased", "model_loaded", "warmed_up", "retried"})


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """What the caller wants: strategies in order, what best means, how many rounds, and what bounds the choice."""

    strategies: tuple[Strategy, ...]
    goal: Goal
    rounds: RoundPolicy
    error_threshold: float | None
    configuration: Configuration

    @property
    def planned_run_count(self) -> int:
        """Most runs of the workload to come: a warm-up and the rounds of each strategy."""
        return len(self.strategies) * (1 + self.rounds.most)


class Comparison:
    """Measures strategies in interleaved rounds. `run` once; cancelling it stops the work."""

    def __init__(
        self,
        context: ExecutionContext,
        preparation: Preparation,
        order: ComparisonOrder,
        *,
        client: str,
        live: LiveExecution[Event],
    ) -> None:
        self._context = context
        self._preparation = preparation
        self._order = order
        self._live = live
        self._filter = EventFilter()
        self._steps = CommonSteps(
            context,
            preparation,
            client=client,
            kept=live.accepted,
            on_queued=lambda queued: live.emit(Event(queued=queued)),
        )

    async def run(self) -> Event:
        """Emits what happens, and gives the terminal event of a comparison in which something was measured.

        Raises:
            RemoteError: every strategy failed; it carries the first one's status.
        """
        outlook, silence = await self._steps.look_ahead(
            self._order.configuration,
            goal=self._order.goal,
            on_profiled=lambda profiled: self._live.emit(Event(profiled=profiled)),
        )
        choice = self._choice(outlook)
        self._live.emit(Event(chosen=outlook.announced(choice)))
        contenders = [
            Contender(each, outlook.plan_of(each), outlook.prediction_of(each)) for each in self._order.strategies
        ]
        conclusion = Conclusion(
            self._context,
            self._live,
            outlook,
            contenders,
            recommended=choice.strategy if outlook.is_predicted else None,
            goal=self._order.goal,
            error_threshold=self._order.error_threshold,
        )
        if silence is not None:
            conclusion.note_silence(silence)
        for contender in contenders:
            await self._warm_up(contender)
        round_count, reason = await self._rounds(contenders, conclusion)
        return await conclusion.reach(round_count, reason)

    def _choice(self, outlook: Outlook) -> Choice:
        if outlook.recommended is None:
            return without_prediction(asked=self._order.strategies[0], by_thresholds=(self._order.strategies[0], ""))
        predicted = {each: outlook.figures_of(each) for each in self._order.strategies}
        return favourite(
            self._order.strategies,
            recommended=outlook.recommended,
            reason=outlook.reason,
            predicted={each: figures for each, figures in predicted.items() if figures is not None},
            goal=self._order.goal,
        )

    async def _rounds(self, contenders: Sequence[Contender], conclusion: Conclusion) -> tuple[int, str]:
        """Rounds until there is a reason to stop; how many, and the reason."""
        done = 0
        while True:
            well = {each.strategy: each.rounds() for each in contenders if each.error is None}
            reason = reason_to_stop(done, well, policy=self._order.rounds, goal=self._order.goal)
            if reason is not None:
                return done, reason
            for contender in rotated(contenders, done):
                if contender.error is None:
                    await self._round(contender, done, conclusion)
            done += 1

    async def _warm_up(self, contender: Contender) -> None:
        await self._attempt(contender, 0, iterations=1, counts=False)

    async def _round(self, contender: Contender, number: int, conclusion: Conclusion) -> None:
        measured = await self._attempt(contender, number, iterations=self._preparation.iterations, counts=True)
        if measured is None:
            return
        measurement, queue_time_ms = measured
        contender.measurements.append(measurement)
        event = orchestrator_pb2.StrategyMeasured(
            strategy=strategy_message(contender.strategy), round=number, performance=measurement.performance
        )
        self._live.emit(Event(strategy_measured=event))
        await conclusion.record_round(contender, number, measurement, queue_time_ms)

    async def _attempt(
        self, contender: Contender, number: int, *, iterations: int, counts: bool
    ) -> tuple[pool_pb2.Measurement, float] | None:
        """One run of a strategy, in a turn of its own, so that others get theirs between. A pool that went away is
        waited for once: one restart should not cost what was measured so far."""
        request = pool_pb2.ExecutePlanRequest(
            plan=contender.plan,
            platform=self._preparation.environment.platform,
            iterations=iterations,
            browser_preferences=self._preparation.preferences,
        )
        for is_last in (False, True):
            try:
                async with self._steps.turn(contender.plan, iterations=iterations) as queue_time_ms:
                    measurement = await carry_out(
                        self._context.peers, request, lambda event: self._forward(contender, number, event, counts)
                    )
            except PeerUnavailable as error:
                returned = not is_last and await self._context.health.wait_until_up(
                    "resource pool", within=self._context.pool_return_seconds
                )
                if not returned:
                    contender.error = failure_status(error, subject=f"the {contender.strategy} strategy")
                    return None
            except (CorunError, RemoteError) as error:
                contender.error = failure_status(error, subject=f"the {contender.strategy} strategy")
                return None
            else:
                return measurement, queue_time_ms
        return None

    def _forward(self, contender: Contender, number: int, event: pool_pb2.ExecutePlanResponse, counts: bool) -> None:
        kind = event.WhichOneof("event")
        if (counts or kind in _GETTING_READY) and self._filter.passes(kind):
            pool_event = orchestrator_pb2.ComparisonPoolEvent(
                strategy=strategy_message(contender.strategy), round=number, event=event
            )
            self._live.emit(Event(pool_event=pool_event))
