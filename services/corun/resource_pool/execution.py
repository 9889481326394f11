"""Carries out a plan in one browser or several, and once more when a browser is lost."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from corun.errors import BrowserLost
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.core import events
from corun.resource_pool.core.engine_choice import EngineChoice
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.plan import EnginePlan, split_by_engine
from corun.resource_pool.plan_attempt import Attempt
from corun.resource_pool.plan_order import PlanOrder
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Emit, Preparation

_MOST_RETRIES = 1


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """One plan to be carried out."""

    pool: Pool
    preparation: Preparation
    capabilities: Capabilities
    order: PlanOrder

    async def run(self, emit: Emit) -> events.Measured:
        """Carries the plan out, telling `emit` what happens, the measurement last; a lost browser costs one retry in
        another.

        Raises:
            BrowserLost: the second browser was lost too.
            InferenceFailed, LeaseEnded, PlatformUnavailable, PoolFull, QueueDeadline, StepTimedOut
        """
        for retries in itertools.count():
            try:
                return await self._attempt(emit, retries)
            except BrowserLost as error:
                if retries == _MOST_RETRIES:
                    raise
                emit(events.Retried(error.cause))
        raise AssertionError("the loop above ends only by returning or raising")

    async def _attempt(self, emit: Emit, retries: int) -> events.Measured:
        choices = await self._choose_engines()
        split = split_by_engine(self.order.plan, {name: choice.engine for name, choice in choices.items()})
        needs = self._needs(split)
        sizes = {name: model.size_bytes for name, model in self.order.models.items()}
        async with self.pool.lease(
            needs, purpose="a plan", exclusive=True, model_sizes=sizes, deadline=self.order.deadline
        ) as lease:
            measured = await Attempt(self.preparation, self.order, lease, split, choices, emit, retries).measured(needs)
            emit(measured)  # before the browsers are given back: nobody has to wait for that
            return measured

    async def _choose_engines(self) -> dict[str, EngineChoice]:
        return {
            name: await self.capabilities.engine_for(
                self.order.platform,
                preferred=self.order.preferences.get(model.model_type, ""),
                model_type=model.model_type,
            )
            for name, model in self.order.models.items()
        }

    def _needs(self, split: EnginePlan) -> tuple[ConnectionNeed, ...]:
        """One browser an engine, each with the lanes of that engine for every replica."""
        lanes = split.plan.lane_needs({place: self.order.session_shapes(place) for place in self.order.batches})
        needs = []
        for engine in dict.fromkeys(split.engines):
            own = tuple(need for need, each in zip(lanes, split.engines, strict=True) if each == engine)
            needs.append(ConnectionNeed(engine, self.order.platform, own * split.plan.replicas))
        return tuple(needs)
