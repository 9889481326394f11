"""One workload from its acceptance to its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

from corun.orchestrator.afterwards import Afterwards
from corun.orchestrator.core.choice import Choice, choose
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.core.validation import ExecutionCounter, ValidationPolicy
from corun.orchestrator.failures import failure_status
from corun.orchestrator.forecast import Forecast
from corun.orchestrator.peers import Peers
from corun.orchestrator.plan_run import PlanRun
from corun.orchestrator.preparation import Preparation
from corun.orchestrator.records import execution_record
from corun.plumbing.names import platform_name
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2 import ExecuteWithStrategyResponse as Event


@dataclass(frozen=True, slots=True)
class ExecutionOrder:
    """What the caller wants: a strategy or None for the best, the goal, and when to validate."""

    strategy: Strategy | None
    goal: Goal
    policy: ValidationPolicy
    batching_size: int


class Execution:
    """Runs one workload. Iterate over `events()` once; closing it stops the work."""

    def __init__(
        self, peers: Peers, preparation: Preparation, *, order: ExecutionOrder, counter: ExecutionCounter
    ) -> None:
        self._peers = peers
        self._preparation = preparation
        self._order = order
        self._counter = counter
        self._forecast = Forecast(peers, preparation, goal=order.goal, batching_size=order.batching_size)
        self._afterwards = Afterwards(peers, preparation)
        self.execution_id = str(uuid4())

    async def events(self) -> AsyncGenerator[Event, None]:
        """`accepted` first, exactly one of `completed` and `failed` last, all without sequence and time."""
        yield Event(accepted=orchestrator_pb2.ExecutionAccepted(execution_id=self.execution_id))
        try:
            async with aclosing(self._steps()) as steps:
                async for event in steps:
                    yield event
        except Exception as error:
            yield Event(failed=failure_status(error, subject=f"execution {self.execution_id}"))

    async def _steps(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._forecast.profiling()) as profiling:
            async for profiled in profiling:
                yield Event(profiled=profiled)
        choice = self._choice()
        yield Event(chosen=self._forecast.announced(choice))
        run = PlanRun(self._peers, self._request(choice.strategy))
        async with aclosing(run.events()) as pool_events:
            async for pool_event in pool_events:
                yield Event(pool_event=pool_event)
        async with aclosing(self._conclusion(choice, run.measurement)) as conclusion:
            async for event in conclusion:
                yield event

    def _choice(self) -> Choice:
        recommendation = self._forecast.recommendation
        return choose(asked=self._order.strategy, recommended=self._forecast.recommended, reason=recommendation.reason)

    def _request(self, strategy: Strategy) -> pool_pb2.ExecutePlanRequest:
        return pool_pb2.ExecutePlanRequest(
            plan=self._forecast.prediction_of(strategy).plan,
            platform=self._preparation.environment.platform,
            iterations=self._preparation.iterations,
            browser_preferences=self._preparation.preferences,
        )

    async def _conclusion(self, choice: Choice, measurement: pool_pb2.Measurement) -> AsyncGenerator[Event, None]:
        result = orchestrator_pb2.ExecutionResult(
            execution_id=self.execution_id,
            chosen=self._forecast.announced(choice),
            predicted=self._forecast.prediction_of(choice.strategy),
            measured=measurement,
            models=self._preparation.models,
        )
        number = self._counter.next_number(platform_name(self._preparation.environment.platform))
        self._afterwards.note([measurement])
        plan = self._forecast.prediction_of(choice.strategy).plan
        await self._afterwards.learn([(plan, measurement)])
        record = await asyncio.to_thread(
            execution_record,
            execution_id=self.execution_id,
            preparation=self._preparation,
            forecast=self._forecast,
            goal=self._order.goal,
            strategy=choice.strategy,
            strategy_chosen=choice.automatic,
            measurement=measurement,
        )
        result.recorded = await self._afterwards.record(record)
        if result.recorded and self._order.policy.is_due(number):
            threshold = self._order.policy.error_threshold
            validated = await self._afterwards.validate(record, error_threshold=threshold)
            if validated is not None:
                result.errors.CopyFrom(validated.errors)
                yield Event(validated=validated)
        result.warnings.extend(self._afterwards.warnings)
        yield Event(completed=result)
