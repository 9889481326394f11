"""One comparison of strategies from its acceptance to its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

from corun.errors import CorunError
from corun.orchestrator.afterwards import Afterwards
from corun.orchestrator.concluding import conclude
from corun.orchestrator.contender import Contender
from corun.orchestrator.converters import predicted_figures, strategy_message
from corun.orchestrator.core.choice import Choice, favourite
from corun.orchestrator.core.comparison import rotated
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.failures import failure_status
from corun.orchestrator.forecast import Forecast
from corun.orchestrator.peers import Peers
from corun.orchestrator.plan_run import PlanRun
from corun.orchestrator.preparation import Preparation
from corun.orchestrator.records import execution_record
from corun.plumbing.status import RemoteError
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse as Event

# Events of a warm-up that tell of getting ready. Its figures are not counted, so they are not shown.
_GETTING_READY = frozenset({"leased", "model_loaded", "warmed_up", "retried"})


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """What the caller wants: strategies in order, what best means, and how many rounds."""

    strategies: tuple[Strategy, ...]
    goal: Goal
    round_count: int
    error_threshold: float | None
    batching_size: int

    @property
    def planned_run_count(self) -> int:
        """Runs of the workload to come: a warm-up and the rounds of each strategy."""
        return len(self.strategies) * (1 + self.round_count)


class Comparison:
    """Measures strategies in interleaved rounds. Iterate over `events()` once; closing it stops the work."""

    def __init__(self, peers: Peers, preparation: Preparation, *, order: ComparisonOrder) -> None:
        self._peers = peers
        self._preparation = preparation
        self._order = order
        self._forecast = Forecast(peers, preparation, goal=order.goal, batching_size=order.batching_size)
        self._afterwards = Afterwards(peers, preparation)
        self.comparison_id = str(uuid4())

    async def events(self) -> AsyncGenerator[Event, None]:
        """`accepted` first, exactly one of `completed` and `failed` last, all without sequence and time."""
        accepted = orchestrator_pb2.ComparisonAccepted(
            comparison_id=self.comparison_id, planned_run_count=self._order.planned_run_count
        )
        yield Event(accepted=accepted)
        try:
            async with aclosing(self._steps()) as steps:
                async for event in steps:
                    yield event
        except Exception as error:
            yield Event(failed=failure_status(error, subject=f"comparison {self.comparison_id}"))

    async def _steps(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._forecast.profiling()) as profiling:
            async for profiled in profiling:
                yield Event(profiled=profiled)
        choice = self._choice()
        yield Event(chosen=self._forecast.announced(choice))
        contenders = [Contender(each, self._forecast.prediction_of(each)) for each in self._order.strategies]
        async with aclosing(self._rounds(contenders)) as rounds:
            async for event in rounds:
                yield event
        result = await conclude(
            self.comparison_id,
            preparation=self._preparation,
            afterwards=self._afterwards,
            contenders=contenders,
            recommended=choice.strategy,
            goal=self._order.goal,
            error_threshold=self._order.error_threshold,
        )
        yield Event(completed=result)

    def _choice(self) -> Choice:
        return favourite(
            self._order.strategies,
            recommended=self._forecast.recommended,
            reason=self._forecast.recommendation.reason,
            predicted={each: predicted_figures(self._forecast.prediction_of(each)) for each in self._order.strategies},
            goal=self._order.goal,
        )

    async def _rounds(self, contenders: Sequence[Contender]) -> AsyncGenerator[Event, None]:
        for contender in contenders:
            async with aclosing(self._warm_up(contender)) as events:
                async for event in events:
                    yield event
        for number in range(self._order.round_count):
            for contender in rotated(contenders, number):
                if contender.error is None:
                    async with aclosing(self._round(contender, number)) as events:
                        async for event in events:
                            yield event

    async def _warm_up(self, contender: Contender) -> AsyncGenerator[Event, None]:
        run = self._plan_run(contender, iterations=1)
        async with aclosing(self._attempt(contender, 0, run)) as events:
            async for event in events:
                if event.pool_event.event.WhichOneof("event") in _GETTING_READY:
                    yield event

    async def _round(self, contender: Contender, number: int) -> AsyncGenerator[Event, None]:
        run = self._plan_run(contender, iterations=self._preparation.iterations)
        async with aclosing(self._attempt(contender, number, run)) as events:
            async for event in events:
                yield event
        if contender.error is not None:
            return
        contender.measurements.append(run.measurement)
        measured = orchestrator_pb2.StrategyMeasured(
            strategy=strategy_message(contender.strategy), round=number, performance=run.measurement.performance
        )
        yield Event(strategy_measured=measured)
        await self._record(contender, number, run.measurement)

    def _plan_run(self, contender: Contender, *, iterations: int) -> PlanRun:
        platform = self._preparation.environment.platform
        request = pool_pb2.ExecutePlanRequest(
            plan=contender.prediction.plan,
            platform=platform,
            iterations=iterations,
            browser_preferences=self._preparation.preferences,
        )
        return PlanRun(self._peers, request)

    async def _attempt(self, contender: Contender, number: int, run: PlanRun) -> AsyncGenerator[Event, None]:
        strategy = strategy_message(contender.strategy)
        try:
            async with aclosing(run.events()) as pool_events:
                async for event in pool_events:
                    yield Event(
                        pool_event=orchestrator_pb2.ComparisonPoolEvent(strategy=strategy, round=number, event=event)
                    )
        except (CorunError, RemoteError) as error:
            contender.error = failure_status(error, subject=f"the {contender.strategy} strategy")

    async def _record(self, contender: Contender, number: int, measurement: pool_pb2.Measurement) -> None:
        record = await asyncio.to_thread(
            execution_record,
            execution_id=f"{self.comparison_id}-{contender.strategy}-{number}",
            preparation=self._preparation,
            forecast=self._forecast,
            goal=self._order.goal,
            strategy=contender.strategy,
            strategy_chosen=False,
            measurement=measurement,
        )
        if await self._afterwards.record(record):
            contender.records[number] = record
