"""Real services, each killed and started again in the middle of a comparison and of an execution."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2, validator_service_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.faults.fault_models import QUICK
from tests.faults.service_process import free_port, kill, service_process

if TYPE_CHECKING:
    from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub  # exists in the stubs only

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

    async def kill_and_start_again(self, service: str) -> None:
        """Kills a service, leaves it dead for a moment, and starts it again."""
        await kill(self.processes[service])
        await asyncio.sleep(0.5)
        await self.start(service)


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
        },
    }
    made = Deployment({service: {"port": ports[service], **each} for service, each in settings.items()})
    async with made.stack:
        for service in ("orchestrator", "resource_pool", "validator", "predictor"):
            await made.start(service)
        yield made


def common(**given: Any) -> dict[str, Any]:
    models = [core_pb2.ModelConfig(model_name=QUICK, batch_size=1)] * 2
    return {
        "workload": core_pb2.Workload(models=models, iterations=5),
        "platform": core_pb2.PLATFORM_WASM,
        "browser_preferences": {"vision": "chromium", "text": "chromium", "audio": "chromium"},
        **given,
    }


async def test_a_service_that_dies_and_returns_costs_no_execution(fault_models: Path, tmp_path: Path) -> None:
    async with (
        deployment(fault_models, tmp_path) as services,
        open_channel(services.address("orchestrator")) as channel,
        open_channel(services.address("resource_pool")) as pool_channel,
    ):
        client = OrchestratorServiceStub(channel)
        execute = orchestrator_pb2.ExecuteWithStrategyRequest(strategy=core_pb2.STRATEGY_SEQUENTIAL, **common())
        first = [event async for event in client.ExecuteWithStrategy(execute, timeout=120)]
        assert first[-1].HasField("completed"), first[-1]
        for number, victim in enumerate(("predictor", "validator", "resource_pool"), start=1):
            result = await _compare_while(services, client, victim)
            assert [each.HasField("error") for each in result.strategies] == [False] * 3
            print(f"{victim} killed: degraded {list(result.degraded)}, warnings {list(result.warnings)}")
            last = [event async for event in client.ExecuteWithStrategy(execute, timeout=120)]
            assert last[-1].completed.recorded, last[-1]
            status = await ResourcePoolServiceStub(pool_channel).GetPoolStatus(pool_pb2.GetPoolStatusRequest())
            assert not status.leases
            # One execution before, and of each comparison nine rounds and the execution after it, each once.
            metrics = await _metrics(client, execution_count=1 + 10 * number)
            assert metrics.execution_count == 1 + 10 * number
            assert metrics.optimization_impact.comparison_count == number


async def _compare_while(
    services: Deployment, client: OrchestratorServiceAsyncStub, victim: str
) -> orchestrator_pb2.ComparisonResult:
    """A comparison during which a service is killed and started again."""
    restarting: asyncio.Task[None] | None = None
    events = []
    request = orchestrator_pb2.CompareStrategiesRequest(rounds=3, **common())
    async for event in client.CompareStrategies(request, timeout=180):
        events.append(event)
        if event.HasField("strategy_measured") and restarting is None:
            restarting = asyncio.create_task(services.kill_and_start_again(victim))
    assert restarting is not None
    await restarting
    assert events[-1].HasField("completed"), events[-1]
    return events[-1].completed


async def _metrics(
    client: OrchestratorServiceAsyncStub, *, execution_count: int
) -> validator_service_pb2.GetValidationMetricsResponse:
    """The validator's figures once it has as many executions: records come a little later after it was away."""
    query = orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest()
    query.query.SetInParent()
    async with asyncio.timeout(20):
        while True:
            metrics = (await client.GetValidationMetrics(query)).metrics
            if metrics.execution_count >= execution_count:
                return metrics
            await asyncio.sleep(0.1)


async def test_a_client_whose_orchestrator_died_finds_its_execution_interrupted_and_no_lease_is_left(
    fault_models: Path, tmp_path: Path
) -> None:
    async with (
        deployment(fault_models, tmp_path) as services,
        open_channel(services.address("orchestrator")) as channel,
        open_channel(services.address("resource_pool")) as pool_channel,
    ):
        client = OrchestratorServiceStub(channel)
        compare = orchestrator_pb2.CompareStrategiesRequest(rounds=50, request_id="one", **common())
        identifier = ""
        async for event in client.CompareStrategies(compare, timeout=180):
            identifier = identifier or event.accepted.comparison_id
            if event.HasField("strategy_measured"):
                break
        await services.kill_and_start_again("orchestrator")
        again = [event async for event in client.CompareStrategies(compare, timeout=60, wait_for_ready=True)]
        pool = ResourcePoolServiceStub(pool_channel)
        async with asyncio.timeout(20):
            while (await pool.GetPoolStatus(pool_pb2.GetPoolStatusRequest())).leases:  # noqa: ASYNC110  (another process tells of no change)
                await asyncio.sleep(0.1)
    assert again[0].accepted.comparison_id == identifier
    assert "under way when the orchestrator ended" in again[-1].failed.message
