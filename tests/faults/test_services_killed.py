"""Real services, each killed and started again in the middle of an execution and of a comparison, and all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.faults.fault_models import QUICK
from tests.faults.service_process import free_port, kill, service_process

if TYPE_CHECKING:
    # They exist in the stubs only.
    from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub

SERVICES = ("predictor", "validator", "resource_pool", "orchestrator")


@dataclass(slots=True)
class Deployment:
    """Four processes, and how to start each again where it was."""

    settings: Mapping[str, Mapping[str, object]]
    processes: dict[str, Any] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def address(self, service: str) -> str:
        """HOST:PORT of a service."""
        return f"127.0.0.1:{self.settings[service]['port']}"

    async def start(self, service: str) -> None:
        """Starts a service."""
        child, _ = await self.stack.enter_async_context(service_process(service, self.settings[service]))
        self.processes[service] = child

    async def kill_and_start_again(self, *services: str) -> None:
        """Kills services, leaves them dead for a moment, and starts them again."""
        for service in services:
            await kill(self.processes[service])
        await asyncio.sleep(0.5)
        await asyncio.gather(*map(self.start, services))


@asynccontextmanager
async def deployment(models: Path, folder: Path) -> AsyncIterator[Deployment]:
    """All four; started in any order will do, so the orchestrator comes first."""
    ports = {service: free_port() for service in SERVICES}
    settings: dict[str, dict[str, object]] = {
        "orchestrator": {
            "state_folder": folder / "orchestrator",
            "validation_interval": 1,
            **{f"{each}_target": f"127.0.0.1:{ports[each]}" for each in SERVICES if each != "orchestrator"},
        },
        "predictor": {"state_folder": folder / "predictor"},
        "validator": {"db_path": folder / "corun.duckdb"},
        "resource_pool": {
            "models_folder": models,
            "max_connections": 1,
            "core_count": 2,
            "probe_at_start": False,
            "settle_seconds": 0,  # no figure is looked at
        },
    }
    made = Deployment({service: {"port": ports[service], **each} for service, each in settings.items()})
    async with made.stack:
        await asyncio.gather(*map(made.start, SERVICES))
        yield made


@dataclass(frozen=True, slots=True)
class Site:
    """One deployment for all tests here, and channels to it."""

    services: Deployment
    client: OrchestratorServiceAsyncStub
    pool: ResourcePoolServiceAsyncStub

    async def execute(self, **given: Any) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
        """The events of an execution."""
        return [event async for event in self.client.ExecuteWithStrategy(execution(**given), timeout=120)]

    async def execution_count(self, at_least: int = 0) -> int:
        """Executions on record, once there are so many: records come a little later after the validator was away."""
        query = orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest()
        query.query.SetInParent()
        async with asyncio.timeout(20):
            while True:
                count = (await self.client.GetValidationMetrics(query)).metrics.execution_count
                if count >= at_least:
                    return count
                await asyncio.sleep(0.1)

    async def until_nothing_is_leased(self) -> None:
        """Waits until the pool has all browsers back."""
        async with asyncio.timeout(20):
            while (await self.pool.GetPoolStatus(pool_pb2.GetPoolStatusRequest(), wait_for_ready=True)).leases:  # noqa: ASYNC110  (another process tells of no change)
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
async def site(fault_models: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with (
        deployment(fault_models, tmp_path_factory.mktemp("services")) as services,
        open_channel(services.address("orchestrator")) as channel,
        open_channel(services.address("resource_pool")) as pool_channel,
    ):
        made = Site(services, OrchestratorServiceStub(channel), ResourcePoolServiceStub(pool_channel))
        assert (await made.execute())[-1].HasField("completed")
        yield made


def common(*, iterations: int = 5, **given: Any) -> dict[str, Any]:
    # Of one model every strategy makes the same plan, so that no lanes are opened anew between them.
    models = [core_pb2.ModelConfig(model_name=QUICK, batch_size=1)]
    return {
        "workload": core_pb2.Workload(models=models, iterations=iterations),
        "platform": core_pb2.PLATFORM_WASM,
        "browser_preferences": {"vision": "chromium", "text": "chromium", "audio": "chromium"},
        **given,
    }


def execution(**given: Any) -> orchestrator_pb2.ExecuteWithStrategyRequest:
    return orchestrator_pb2.ExecuteWithStrategyRequest(strategy=core_pb2.STRATEGY_SEQUENTIAL, **common(**given))


@pytest.mark.parametrize("victim", ["predictor", "validator"])
async def test_a_service_that_dies_during_an_execution_and_returns_costs_no_result(site: Site, victim: str) -> None:
    before = await site.execution_count()
    restarting: asyncio.Task[None] | None = None
    async for event in site.client.ExecuteWithStrategy(execution(), timeout=120):
        if event.pool_event.HasField("leased"):
            restarting = asyncio.create_task(site.services.kill_and_start_again(victim))
    assert event.HasField("completed"), event
    assert event.completed.recorded or event.completed.record_queued
    assert restarting is not None
    await restarting
    assert await site.execution_count(before + 1) == before + 1


async def test_an_execution_whose_pool_dies_fails_and_the_next_one_finds_the_pool_that_returned(site: Site) -> None:
    restarting: asyncio.Task[None] | None = None
    async for event in site.client.ExecuteWithStrategy(execution(iterations=10_000), timeout=120):
        if event.pool_event.HasField("iteration_finished") and restarting is None:
            restarting = asyncio.create_task(site.services.kill_and_start_again("resource_pool"))
    failure = RemoteError(event.failed)
    assert (failure.reason, failure.metadata["service"]) == ("PEER_UNAVAILABLE", "resource pool")
    assert restarting is not None
    await restarting
    assert (await site.execute())[-1].HasField("completed")
    await site.until_nothing_is_leased()


@pytest.mark.parametrize("victim", ["predictor", "validator", "resource_pool"])
async def test_a_service_that_dies_during_a_comparison_and_returns_costs_no_round(site: Site, victim: str) -> None:
    before = await site.execution_count()
    restarting: asyncio.Task[None] | None = None
    request = orchestrator_pb2.CompareStrategiesRequest(rounds=2, **common())
    async for event in site.client.CompareStrategies(request, timeout=180):
        if event.HasField("strategy_measured") and restarting is None:
            restarting = asyncio.create_task(site.services.kill_and_start_again(victim))
    assert event.HasField("completed"), event
    assert [each.HasField("error") for each in event.completed.strategies] == [False] * 3
    assert restarting is not None
    await restarting
    last = (await site.execute())[-1]
    # A validator that is just back may not have been noticed yet.
    assert last.completed.recorded or last.completed.record_queued, last
    # Two rounds of three strategies and the execution after them, each once.
    assert await site.execution_count(before + 7) == before + 7
    await site.until_nothing_is_leased()


@pytest.mark.parametrize("victims", [("orchestrator",), SERVICES], ids=["the orchestrator", "everything"])
async def test_a_client_whose_services_died_finds_its_comparison_interrupted_and_nothing_leased(
    site: Site, victims: tuple[str, ...]
) -> None:
    before = await site.execution_count()
    compare = orchestrator_pb2.CompareStrategiesRequest(rounds=50, request_id="+".join(victims), **common())
    identifier = ""
    async for event in site.client.CompareStrategies(compare, timeout=180):
        identifier = identifier or event.accepted.comparison_id
        if event.HasField("strategy_measured"):
            break
    await site.services.kill_and_start_again(*victims)
    again = [event async for event in site.client.CompareStrategies(compare, timeout=60, wait_for_ready=True)]
    assert again[0].accepted.comparison_id == identifier
    assert "under way when the orchestrator ended" in again[-1].failed.message
    await site.until_nothing_is_leased()
    assert (await site.execute())[-1].HasField("completed")
    # Rounds that were measured before are on record, and what was there before still is.
    assert await site.execution_count() >= before + 2
