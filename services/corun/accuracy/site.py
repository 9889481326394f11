"""Where a benchmark takes place: services, models and browsers that were found to be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from corun.accuracy.core.design import Workload
from corun.accuracy.core.points import Measured
from corun.accuracy.reading import execute_call, workload_message
from corun.orchestrator.config import Settings
from corun.orchestrator.converters import figures_of
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.forecast import Forecast
from corun.orchestrator.peers import Peers
from corun.orchestrator.plan_run import carry_out
from corun.orchestrator.preparation import Preparation, prepare
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2 import ExecutionResult
from corun_client.async_client import AsyncClient
from corun_client.calls import ExecutionEvent
from corun_client.conversion.names import platform_of


class Listener(Protocol):
    """Is told what the benchmark does."""

    def begin(self, words: str, expected_seconds: float = 0.0) -> None:
        """A step begins that should take so long; the one before it is done."""


@dataclass(frozen=True, slots=True)
class Site:
    """The services, and all models of the benchmark, known to exist and to have a browser.

    Attributes:
        client: Calls of the front door.
        peers: Calls of the services behind it.
        platform: By name.
        preferences: Browsers by model type.
        listener: Told what happens.
        everything: The preparation of a workload with every model.
    """

    client: AsyncClient
    peers: Peers
    platform: str
    preferences: Mapping[str, str]
    listener: Listener
    everything: Preparation

    @property
    def platform_name(self) -> str:
        """The platform without other names of it."""
        return platform_name(self.everything.environment.platform)

    def forecast(self, workload: Workload) -> Forecast:
        """The predictor's view of a workload, for latency; nothing is asked yet."""
        models = {model.name: model for model in self.everything.models}
        own = replace(
            self.everything, workload=workload_message(workload), models=tuple(models[name] for name, _ in workload)
        )
        return Forecast(self.peers, own, goal=Goal.LATENCY, batching_size=Settings().batching_size)

    async def max_connections(self) -> int:
        """Most browsers of the pool at once."""
        preferred = next(iter(self.preferences.values()), "")
        capabilities = await self.peers.capabilities(self.everything.environment.platform, preferred=preferred)
        return capabilities.max_connections

    async def execute(self, workload: Workload, strategy: Strategy) -> ExecutionResult:
        """Runs a workload once through the front door, which teaches the predictor."""
        results: list[ExecutionResult] = []

        def note(event: ExecutionEvent) -> None:
            if event.HasField("completed"):
                results.append(event.completed)

        await self.client.follow(execute_call(workload, strategy, self.platform, self.preferences), note)
        (result,) = results
        return result

    async def measure(self, plan: core_pb2.Plan) -> Measured:
        """Runs a plan once, past the orchestrator, so that nobody learns from it.

        The run before it, which is not counted, wakes a browser that has idled since its last turn.
        """
        request = pool_pb2.ExecutePlanRequest(
            plan=plan,
            platform=self.everything.environment.platform,
            iterations=1,
            warmup_iterations=1,
            browser_preferences=self.preferences,
        )
        measurement = await carry_out(self.peers, request, lambda _event: None)
        return Measured(figures_of(measurement.performance), tuple(each.run_time_ms for each in measurement.runs))


async def find_site(
    client: AsyncClient,
    peers: Peers,
    *,
    models: tuple[str, ...],
    platform: str,
    preferences: Mapping[str, str],
    listener: Listener,
) -> Site:
    """Asks the pool for the models and for browsers, trying these if need be.

    Raises:
        CorunError, RemoteError: as `prepare`.
    """
    listener.begin("looking at models and browsers")
    everything = await prepare(
        peers,
        workload=workload_message(tuple((name, 1) for name in models)),
        platform=platform_of(platform),
        preferences=preferences,
    )
    return Site(client, peers, platform, preferences, listener, everything)
