"""The steps that executions and comparisons have in common: taking turns, and looking ahead."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from corun.errors import PeerUnavailable
from corun.orchestrator.context import ExecutionContext
from corun.orchestrator.converters import configuration_message
from corun.orchestrator.core.configuration import Configuration
from corun.orchestrator.core.terms import Goal
from corun.orchestrator.forecast import Forecast
from corun.orchestrator.outlook import Outlook
from corun.orchestrator.preparation import Preparation
from corun.orchestrator.store.executions import Row
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


class CommonSteps:
    """Of one execution or comparison.

    Args:
        context: What it works with.
        preparation: What is to run.
        client: Whose it is.
        kept: Done when it is on disk: nothing is run before.
        on_queued: Told when it has to wait for a turn.
    """

    def __init__(
        self,
        context: ExecutionContext,
        preparation: Preparation,
        *,
        client: str,
        kept: asyncio.Future[Row],
        on_queued: Callable[[orchestrator_pb2.ExecutionQueued], None],
    ) -> None:
        self._context = context
        self._preparation = preparation
        self._client = client
        self._kept = kept
        self._on_queued = on_queued

    @asynccontextmanager
    async def turn(self, plan: core_pb2.Plan | None = None, *, iterations: int = 1) -> AsyncIterator[float]:
        """Holds a turn for iterations of a plan, or for something else; yields the milliseconds that it waited."""

        def tell(waiting_count: int, place_count: int) -> None:
            self._on_queued(orchestrator_pb2.ExecutionQueued(waiting_count=waiting_count, place_count=place_count))

        await asyncio.shield(self._kept)
        kind = None if plan is None else _kind_of_work(plan, iterations)
        async with self._context.turns.turn(self._client, on_queued=tell, kind=kind) as waited:
            yield waited * 1000

    async def look_ahead(
        self,
        configuration: Configuration,
        *,
        goal: Goal,
        on_profiled: Callable[[orchestrator_pb2.ModelProfiled], None],
    ) -> tuple[Outlook, PeerUnavailable | None]:
        """What is expected, after new models were profiled. Where the predictor does not answer, plans without a
        prediction, and the error."""
        forecast = Forecast(
            self._context.peers,
            self._preparation,
            goal=goal,
            batching_size=configuration.batching_size,
            configuration=configuration_message(configuration),
        )
        try:
            await forecast.ask()
            orders = await forecast.profiles_needed()
            if orders:
                async with self.turn():
                    for order in orders:
                        on_profiled(await forecast.profile(order))
                await forecast.ask()
        except PeerUnavailable as error:
            if error.metadata["service"] != "predictor":
                raise
            return Outlook(self._preparation, configuration), error
        return Outlook(self._preparation, configuration, forecast), None


def _kind_of_work(plan: core_pb2.Plan, iterations: int) -> tuple[bytes, int]:
    """The same for the same work; a plan may be large, so that its digest stands for it."""
    return hashlib.sha256(plan.SerializeToString(deterministic=True)).digest(), iterations
