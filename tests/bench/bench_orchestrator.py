"""What a client waits for beyond the measured makespan: RPC time of ExecuteWithStrategy less its latency, with every
execution validated, beside an empty grpc.aio call in the same run.

Turn and turn about the same execution goes through an orchestrator whose validator takes everything and keeps nothing,
so that the difference is what recording adds; and the predictor is asked for a strategy alone.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.embedded import built, settings_of
from corun.plumbing.channel import open_channel
from corun.plumbing.local_channel import LocalChannel
from corun.plumbing.server import Server, Service
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub
from corun.v1.validator_service_pb2_grpc import add_ValidatorServiceServicer_to_server
from tests.bench.report import show
from tests.fakes.fake_validator import FakeValidator

if TYPE_CHECKING:  # only the type stubs have it
    from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub

# The predictor learns what came within a tenth of a second, and the record is written, after an execution has ended.
PAUSE_SECONDS = 0.25
ROUNDS = 60
WARM_UP = 5
MODEL = "silero-vad"
REFERENCE_LATENCY_MS = 100.0

Event = orchestrator_pb2.ExecuteWithStrategyResponse
WORKLOAD = core_pb2.Workload(models=[core_pb2.ModelConfig(model_name=MODEL, batch_size=1)])


def request(*, validated: bool) -> orchestrator_pb2.ExecuteWithStrategyRequest:
    """One model once, validated or only recorded."""
    validation = orchestrator_pb2.ValidationPolicy(interval=1, disabled=not validated)
    return orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=WORKLOAD,
        platform=core_pb2.PLATFORM_WASM,
        strategy=core_pb2.STRATEGY_SEQUENTIAL,
        validation=validation,
    )


@dataclass(slots=True)
class Overheads:
    """Milliseconds of whole calls, and of them beyond the makespan, by part."""

    whole: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    pool: list[float] = field(default_factory=list)
    afterwards: list[float] = field(default_factory=list)

    async def measure(self, orchestrator: OrchestratorServiceAsyncStub, *, validated: bool) -> Event:
        """Executes once, when what followed the execution before is done; gives the terminal event."""
        await asyncio.sleep(PAUSE_SECONDS)
        begin, begin_time = time.perf_counter(), time.time_ns()
        events = [event async for event in orchestrator.ExecuteWithStrategy(request(validated=validated))]
        elapsed = (time.perf_counter() - begin) * 1000
        makespan = events[-1].completed.measured.performance.latency_ms
        times = _times(events)
        self.whole.append(elapsed)
        self.overhead.append(elapsed - makespan)
        self.before.append((times["leased"] - begin_time) / 1e6)
        self.pool.append((times["measured"] - times["leased"]) / 1e6 - makespan)
        self.afterwards.append((times["completed"] - times["measured"]) / 1e6)
        return events[-1]

    def forget(self) -> None:
        """What was measured so far was to warm up."""
        for own in (self.whole, self.overhead, self.before, self.pool, self.afterwards):
            own.clear()


async def bench() -> dict[str, float]:
    """Median overhead in milliseconds of a warm execution of one model."""
    with TemporaryDirectory() as folder:
        async with (
            orchestrators(Path(folder)) as (address, forgetful_address),
            open_channel(address) as channel,
            open_channel(forgetful_address) as other,
        ):
            orchestrator, predictor = OrchestratorServiceStub(channel), PredictorServiceStub(channel)
            forgetful, probe = OrchestratorServiceStub(other), health_pb2_grpc.HealthStub(channel)
            validated, recorded, without = Overheads(), Overheads(), Overheads()
            empty: list[float] = []
            choosing: list[float] = []
            for number in range(ROUNDS + WARM_UP):
                if number == WARM_UP:
                    for each in (validated, recorded, without):
                        each.forget()
                    empty.clear()
                end = await validated.measure(orchestrator, validated=True)
                assert end.completed.HasField("errors"), end
                kept = (await recorded.measure(orchestrator, validated=False)).completed
                assert kept.recorded or kept.record_queued, kept
                await without.measure(forgetful, validated=False)
                check = health_pb2.HealthCheckRequest()
                empty.append(await _milliseconds(lambda check=check: probe.Check(check)))  # type: ignore[attr-defined,misc]
                asked = _question(end.completed)
                choosing.append(await _milliseconds(lambda asked=asked: predictor.RecommendStrategy(asked)))  # type: ignore[misc]
    overhead, call = statistics.median(validated.overhead), statistics.median(empty)
    added = statistics.median(recorded.overhead) - statistics.median(without.overhead)
    show(
        f"ExecuteWithStrategy of one warm run of {MODEL}, each validated",
        [
            ("RPC, whole", validated.whole),
            ("overhead", validated.overhead),
            ("before the plan", validated.before),
            ("pool, beyond the makespan", validated.pool),
            ("afterwards", validated.afterwards),
            ("overhead, recorded and not validated", recorded.overhead),
            ("overhead, neither", without.overhead),
            ("empty grpc.aio call", empty),
        ],
        ratio=f"the overhead is {overhead / call:.1f} empty calls; recording adds {added:.1f} ms",
    )
    chosen = statistics.median(choosing)
    beyond = chosen - call
    show(
        f"predicting {MODEL} and choosing a strategy",
        [("RecommendStrategy", choosing)],
        ratio=f"{beyond:.1f} ms beyond an empty call: {beyond / REFERENCE_LATENCY_MS:.1%} of a workload that takes "
        f"{REFERENCE_LATENCY_MS:g} ms, or {chosen / REFERENCE_LATENCY_MS:.1%} with it",
    )
    return {"overhead_ms": overhead, "empty_call_ms": call, "recording_ms": added, "choosing_ms": chosen}


@asynccontextmanager
async def orchestrators(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Addresses of two orchestrators in one process with one predictor and one pool, as the embedded stack has them:
    the first one has the validator, the second one a validator that keeps nothing."""
    async with AsyncExitStack() as stack:
        given: dict[str, dict[str, object]] = {
            "validator": {"db_path": folder / "corun.duckdb"},
            "predictor": {"state_folder": folder},
            "resource_pool": {"max_connections": 1},
        }
        validator, *shared = [
            await stack.enter_async_context(built(name, settings_of(name, **own))) for name, own in given.items()
        ]
        nothing = Service(validator.name, FakeValidator(), add_ValidatorServiceServicer_to_server)
        addresses: list[str] = []
        for own in (validator, nothing):
            local = LocalChannel()
            for service in (*shared, own):
                await local.serve(service)
            settings = settings_of("orchestrator", state_folder=folder / str(len(addresses)), error_threshold=0.15)
            orchestrator = built("orchestrator", settings, connect=lambda _target, local=local: local)
            server = Server(host="127.0.0.1", port=0)
            services = [*shared, await stack.enter_async_context(orchestrator)]
            await stack.enter_async_context(server.serving(services))
            addresses.append(server.address)
        first, second = addresses
        yield first, second


def _question(result: orchestrator_pb2.ExecutionResult) -> predictor_pb2.RecommendStrategyRequest:
    environment = predictor_pb2.ExecutionEnvironment(
        platform=core_pb2.PLATFORM_WASM, engine=result.measured.engine, core_count=2
    )
    return predictor_pb2.RecommendStrategyRequest(
        prediction=predictor_pb2.PredictRequest(
            workload=WORKLOAD,
            environment=environment,
            features=[
                predictor_pb2.ModelFeatures(model_name=model.name, graph=model.features) for model in result.models
            ],
        )
    )


async def _milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await call()
    return (time.perf_counter() - begin) * 1000


def _times(events: Sequence[Event]) -> dict[str | None, int]:
    """When each kind of event happened, nanoseconds since 1970."""
    return {
        event.pool_event.WhichOneof("event") or event.WhichOneof("event"): event.event_time.ToNanoseconds()
        for event in events
    }
