"""A resource pool that runs nothing and reports what a test tells it to."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from corun.errors import UnknownModel
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceServicer
from tests.fakes.fake_tensors import FakeTensors

Context = grpc.aio.ServicerContext[Any, Any]

ENGINE = "fake-engine"
ADAPTER = "fake-adapter"
CORE_COUNT = 4


def fake_models() -> dict[str, pool_pb2.ModelInfo]:
    """A text model, a vision model and an audio model."""
    types = {"fake-text": "text_embedding", "fake-vision": "vision", "fake-audio": "audio"}
    return {
        name: pool_pb2.ModelInfo(
            name=name,
            model_type=model_type,
            weights_origin=core_pb2.WEIGHTS_ORIGIN_SEEDED,
            prepared=True,
            features=core_pb2.GraphFeatures(flops_per_item=1e9, weight_bytes=10**6, operator_count=10),
        )
        for name, model_type in types.items()
    }


def fake_engines() -> list[pool_pb2.EngineCapability]:
    """One engine that is not there, and one that supports wasm and webgpu but not webnn."""
    return [
        pool_pb2.EngineCapability(engine="missing-engine", available=False, detail="not installed"),
        pool_pb2.EngineCapability(
            engine=ENGINE,
            available=True,
            platforms=[
                pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WASM, supported=True),
                pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WEBGPU, supported=True, adapter=ADAPTER),
                pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WEBNN, detail="no such API"),
            ],
        ),
    ]


Outcome = core_pb2.Performance | Exception


@dataclass(slots=True)
class FakeResourcePool(ResourcePoolServiceServicer):
    """Answers plans with scripted figures; a run always takes 10 ms an item, a profile 5 ms an item.

    Attributes:
        outcomes: For each strategy, what its next plans measure or fail with (after `leased`); 100 ms,
            10 items per second and 20 MB when the script has run out.
        behaviour: "answer"; "hold": never go on after `leased`; "flood": send events without end; "stop":
            end without a measurement; "wait": go on after `leased` when `released` is set.
        plan_seconds: How long a plan takes after `leased`.
        list_seconds: How long listing models takes.
        max_connections: Most browsers at once, as it says.
        lease_count: Plans that are being carried out; `most_leases` is the most that there were at once.
        engine: The engine that measurements name.
        retry_count: What measurements say of retries.
        other_programs_cores: What measurements and profiles say that other programs used; None: nothing.
        refusals: Raised one after another by the next profiles and plans, before anything happens.
        fallbacks: What measurements say of preferred engines that could not serve.
        capability_requests: What was asked of engines.
        lease_started: Set when a plan began; `plan_cancelled` when one that holds or floods was ended.
    """

    models: dict[str, pool_pb2.ModelInfo] = field(default_factory=fake_models)
    engines: list[pool_pb2.EngineCapability] = field(default_factory=fake_engines)
    outcomes: defaultdict[int, deque[Outcome]] = field(default_factory=lambda: defaultdict(deque))
    behaviour: str = "answer"
    plan_seconds: float = 0.0
    list_seconds: float = 0.0
    max_connections: int = 1
    lease_count: int = 0
    most_leases: int = 0
    engine: str = ENGINE
    retry_count: int = 0
    other_programs_cores: float | None = None
    refusals: deque[Exception] = field(default_factory=deque)
    fallbacks: list[pool_pb2.EngineFallback] = field(default_factory=list)
    list_error: Exception | None = None
    plan_requests: list[pool_pb2.ExecutePlanRequest] = field(default_factory=list)
    profile_requests: list[pool_pb2.ProfileModelRequest] = field(default_factory=list)
    list_requests: list[pool_pb2.ListModelsRequest] = field(default_factory=list)
    capability_requests: list[pool_pb2.GetCapabilitiesRequest] = field(default_factory=list)
    lease_started: asyncio.Event = field(default_factory=asyncio.Event)
    plan_cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    tensors: FakeTensors = field(default_factory=FakeTensors)

    async def ListModels(self, request: pool_pb2.ListModelsRequest, _context: Context) -> pool_pb2.ListModelsResponse:
        """The fake models, by name."""
        self.list_requests.append(request)
        await asyncio.sleep(self.list_seconds)
        if self.list_error is not None:
            raise self.list_error
        for index, name in enumerate(request.names):
            if name not in self.models:
                raise UnknownModel(name, sorted(self.models), field=f"names[{index}]")
        return pool_pb2.ListModelsResponse(models=[self.models[name] for name in request.names])

    async def GetCapabilities(
        self, request: pool_pb2.GetCapabilitiesRequest, _context: Context
    ) -> pool_pb2.GetCapabilitiesResponse:
        """The fake engines, the preferred one first."""
        self.capability_requests.append(request)
        engines = sorted(self.engines, key=lambda each: each.engine != request.engine)
        return pool_pb2.GetCapabilitiesResponse(
            engines=engines, core_count=CORE_COUNT, max_connections=self.max_connections
        )

    async def ProfileModel(
        self, request: pool_pb2.ProfileModelRequest, _context: Context
    ) -> pool_pb2.ProfileModelResponse:
        """Three runs of 5 ms an item for each setting, and 7 MB, in the preferred engine."""
        self.profile_requests.append(request)
        if self.refusals:
            raise self.refusals.popleft()
        profiles = [
            pool_pb2.ModelProfile(
                setting=setting,
                run_times_ms=[5.0 * setting.batch_size] * 3,
                memory_mb=7.0,
                other_programs_cores=self.other_programs_cores,
            )
            for setting in request.settings
        ]
        engine = request.engine or self.engine
        return pool_pb2.ProfileModelResponse(profiles=profiles, engine=engine, adapter=ADAPTER)

    async def ExecutePlan(
        self, request: pool_pb2.ExecutePlanRequest, context: Context
    ) -> AsyncIterator[pool_pb2.ExecutePlanResponse]:
        """Leased, one model loaded, and what the script says."""
        self.plan_requests.append(request)
        if self.refusals:
            raise self.refusals.popleft()
        self.lease_count += 1
        self.most_leases = max(self.most_leases, self.lease_count)
        context.add_done_callback(self._note_end)  # type: ignore[arg-type]  # the stub wants its own class
        sequence = 0
        async for event in self._events(request):
            sequence += 1
            event.sequence = sequence
            event.event_time.GetCurrentTime()
            yield event

    def _note_end(self, _context: Context) -> None:
        self.lease_count -= 1
        # These two never end by themselves.
        if self.behaviour in {"hold", "flood"}:
            self.plan_cancelled.set()

    async def _events(self, request: pool_pb2.ExecutePlanRequest) -> AsyncIterator[pool_pb2.ExecutePlanResponse]:
        yield pool_pb2.ExecutePlanResponse(leased=pool_pb2.Leased(connection_id="fake-1", engine=self.engine))
        self.lease_started.set()
        if self.behaviour == "hold":
            await asyncio.Event().wait()
        if self.behaviour == "wait":
            await self.released.wait()
        await asyncio.sleep(self.plan_seconds)
        while self.behaviour == "flood":
            yield pool_pb2.ExecutePlanResponse(run_started=pool_pb2.RunStarted())
        if self.behaviour == "stop":
            return
        script = self.outcomes[request.plan.strategy]
        outcome = script.popleft() if script else figures()
        if isinstance(outcome, Exception):
            raise outcome
        first = request.plan.stages[0].runs[0].model_name
        yield pool_pb2.ExecutePlanResponse(model_loaded=pool_pb2.ModelLoaded(model_name=first))
        finished = pool_pb2.IterationFinished(latency_ms=outcome.latency_ms)
        yield pool_pb2.ExecutePlanResponse(iteration_finished=finished)
        if request.return_outputs:
            for member in request.inputs:
                output = pool_pb2.MemberOutput(member=member.member, model_name=first, outputs=member.tensors)
                yield pool_pb2.ExecutePlanResponse(output=output)
        yield pool_pb2.ExecutePlanResponse(measured=self._measurement(request, outcome))

    def _measurement(
        self, request: pool_pb2.ExecutePlanRequest, performance: core_pb2.Performance
    ) -> pool_pb2.Measurement:
        return pool_pb2.Measurement(
            performance=performance,
            iteration_latencies_ms=[performance.latency_ms] * request.iterations,
            runs=[
                pool_pb2.RunMeasurement(
                    iteration=iteration,
                    stage=stage_number,
                    run=run_number,
                    model_name=run.model_name,
                    batch_size=run.batch_size,
                    lane_width=request.plan.lane_widths[run.lane],
                    run_time_ms=10.0 * run.batch_size,
                    concurrency=len(stage.runs),
                    engine=self._engine_of(request, run.model_name),
                )
                for iteration in range(request.iterations)
                for stage_number, stage in enumerate(request.plan.stages)
                for run_number, run in enumerate(stage.runs)
            ],
            engine=self.engine,
            adapter=ADAPTER,
            queue_time_ms=1.5,
            load_time_ms=2.5,
            retry_count=self.retry_count,
            other_programs_cores=self.other_programs_cores,
            fallbacks=self.fallbacks,
            model_sha256s={name: model.sha256 for name, model in self.models.items()},
        )

    def _engine_of(self, request: pool_pb2.ExecutePlanRequest, model_name: str) -> str:
        model_type = self.models[model_name].model_type
        names = [model_type, "text"] if model_type == "text_embedding" else [model_type]
        preferred = (request.browser_preferences[each] for each in names if each in request.browser_preferences)
        return next(preferred, self.engine)

    async def LoadModel(self, request: pool_pb2.LoadModelRequest, _context: Context) -> pool_pb2.LoadModelResponse:
        """Not scripted."""
        raise NotImplementedError

    async def UnloadModel(
        self, request: pool_pb2.UnloadModelRequest, _context: Context
    ) -> pool_pb2.UnloadModelResponse:
        """Not scripted."""
        raise NotImplementedError

    async def Infer(self, request: pool_pb2.InferRequest, _context: Context) -> pool_pb2.InferResponse:
        """Not scripted."""
        raise NotImplementedError

    async def GetPoolStatus(
        self, request: pool_pb2.GetPoolStatusRequest, _context: Context
    ) -> pool_pb2.GetPoolStatusResponse:
        """Not scripted."""
        raise NotImplementedError

    async def ShareTensor(
        self, request: pool_pb2.ShareTensorRequest, _context: Context
    ) -> pool_pb2.ShareTensorResponse:
        """Keeps the tensor."""
        return await self.tensors.share(request, engine=self.engine)

    async def ReleaseTensor(
        self, request: pool_pb2.ReleaseTensorRequest, _context: Context
    ) -> pool_pb2.ReleaseTensorResponse:
        """Forgets tensors."""
        return await self.tensors.release(request)

    async def ListTensors(
        self, _request: pool_pb2.ListTensorsRequest, _context: Context
    ) -> pool_pb2.ListTensorsResponse:
        """The tensors that are kept."""
        return self.tensors.listed()

    async def WatchPool(
        self, _request: pool_pb2.WatchPoolRequest, _context: Context
    ) -> AsyncIterator[pool_pb2.WatchPoolResponse]:
        """An empty pool, and what happens to its tensors."""
        async for state in self.tensors.watch(pool_pb2.GetPoolStatusResponse(max_connections=1)):
            yield state


def figures(
    latency_ms: float = 100.0, throughput_items_per_second: float = 10.0, memory_mb: float = 20.0
) -> core_pb2.Performance:
    """What a plan is to measure."""
    return core_pb2.Performance(
        latency_ms=latency_ms,
        throughput_items_per_second=throughput_items_per_second,
        memory_mb=memory_mb,
    )
