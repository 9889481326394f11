"""The pool's contract: message to decision to message, and nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc

from corun.errors import CorunError, ModelNotLoaded
from corun.plumbing.names import platform_name
from corun.resource_pool import conversion
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.config import Settings
from corun.resource_pool.core.events import Event
from corun.resource_pool.core.plan import check_plan, check_width
from corun.resource_pool.event_messages import from_event
from corun.resource_pool.execution import PlanExecution
from corun.resource_pool.inference import Inference
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation
from corun.resource_pool.profiling import Setting, profile
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ResourcePoolServicer(ResourcePoolServiceServicer):
    """Serves ResourcePoolService."""

    settings: Settings
    catalog: ModelCatalog
    pool: Pool
    preparation: Preparation
    capabilities: Capabilities
    inference: Inference

    async def ListModels(self, request: messages.ListModelsRequest, context: Context) -> messages.ListModelsResponse:
        if not request.names:
            return messages.ListModelsResponse(models=await asyncio.to_thread(self._list))
        models = [await self._resolve(name, f"names[{index}]") for index, name in enumerate(request.names)]
        return messages.ListModelsResponse(models=[conversion.from_model(model) for model in models])

    async def GetCapabilities(
        self, request: messages.GetCapabilitiesRequest, context: Context
    ) -> messages.GetCapabilitiesResponse:
        return messages.GetCapabilitiesResponse(
            engines=[conversion.from_engine(engine) for engine in await self.capabilities.engines()],
            core_count=self.settings.core_count,
            max_connections=self.settings.max_connections,
        )

    async def LoadModel(self, request: messages.LoadModelRequest, context: Context) -> messages.LoadModelResponse:
        model = await self._resolve(request.model_name, "model_name")
        platform = await self._require(request.platform)
        loaded = await self.inference.load(model, platform=platform)
        return messages.LoadModelResponse(
            connection_id=loaded.connection_id,
            already_loaded=loaded.already_loaded,
            load_time_ms=loaded.load_time_ms,
            engine=loaded.engine,
        )

    async def UnloadModel(self, request: messages.UnloadModelRequest, context: Context) -> messages.UnloadModelResponse:
        platform = platform_name(request.platform) if request.platform else None
        count = await self.inference.unload(request.model_name, platform=platform)
        if count == 0:
            raise ModelNotLoaded(request.model_name)
        return messages.UnloadModelResponse(session_count=count)

    async def Infer(self, request: messages.InferRequest, context: Context) -> messages.InferResponse:
        model = await self._resolve(request.model_name, "model_name")
        platform = await self._require(request.platform)
        if request.items:
            items = conversion.to_items(list(request.items), model.accepts)
            inputs = await asyncio.to_thread(model.encode, items)
        else:
            inputs = conversion.to_arrays(list(request.tensors))
        model.check_inputs(inputs)
        inferred = await self.inference.run(model, inputs, platform=platform)
        results = model.decode(inferred.outputs, inputs) if request.items else []
        return messages.InferResponse(
            outputs=[conversion.from_array(name, array) for name, array in inferred.outputs.items()],
            results=[conversion.from_item_result(result) for result in results],
            run_time_ms=inferred.run_time_ms,
            engine=inferred.engine,
            adapter=inferred.adapter,
            weights_origin=conversion.origin_value(model.weights_origin),
        )

    async def ProfileModel(
        self, request: messages.ProfileModelRequest, context: Context
    ) -> messages.ProfileModelResponse:
        model = await self._resolve(request.model_name, "model_name")
        for index, each in enumerate(request.settings):
            field = f"settings[{index}].lane_width"
            check_width(each.lane_width, core_count=self.settings.core_count, field=field)
        profiles = await profile(
            model,
            [Setting(each.batch_size, each.lane_width) for each in request.settings],
            platform=await self._require(request.platform),
            run_count=request.run_count if request.HasField("run_count") else 3,
            pool=self.pool,
            preparation=self.preparation,
            memory_interval_seconds=self.settings.memory_interval_seconds,
        )
        return messages.ProfileModelResponse(
            profiles=[conversion.from_profile(each) for each in profiles],
            engine=profiles[0].engine,
            adapter=profiles[0].adapter,
        )

    async def ExecutePlan(
        self, request: messages.ExecutePlanRequest, context: Context
    ) -> AsyncIterator[messages.ExecutePlanResponse]:
        plan = conversion.to_plan(request.plan)
        check_plan(plan, core_count=self.settings.core_count)
        models: dict[str, Model] = {}
        for number, stage in enumerate(plan.stages):
            for index, run in enumerate(stage):
                if run.model_name not in models:
                    field = f"plan.stages[{number}].runs[{index}].model_name"
                    models[run.model_name] = await self._resolve(run.model_name, field)
        execution = PlanExecution(
            pool=self.pool,
            preparation=self.preparation,
            models=models,
            plan=plan,
            platform=await self._require(request.platform),
            iterations=request.iterations if request.HasField("iterations") else 1,
            warmup_iterations=request.warmup_iterations,
            memory_interval_seconds=self.settings.memory_interval_seconds,
        )
        sequence = 0
        async for event in _events(execution):
            sequence += 1
            yield from_event(event, sequence=sequence)

    async def GetPoolStatus(
        self, request: messages.GetPoolStatusRequest, context: Context
    ) -> messages.GetPoolStatusResponse:
        slots = self.pool.slots
        sizes = [await slot.connection.memory_mb() for slot in slots]
        return messages.GetPoolStatusResponse(
            connections=[conversion.from_slot(slot, size) for slot, size in zip(slots, sizes, strict=True)],
            max_connections=self.pool.max_connections,
            queued_count=self.pool.queued_count,
            lost_count=self.pool.lost_count,
        )

    def _list(self) -> list[messages.ModelInfo]:
        """Every model as it is; one that was found bad says so in its source."""
        listed = []
        for entry in self.catalog.entries():
            if not entry.prepared:
                listed.append(conversion.from_entry(entry))
                continue
            try:
                listed.append(conversion.from_model(self.catalog.resolve(entry.name)))
            except CorunError as error:
                bad = dataclasses.replace(entry, prepared=False, source=f"{entry.source}: {error}")
                listed.append(conversion.from_entry(bad))
        return listed

    async def _resolve(self, name: str, field: str) -> Model:
        return await asyncio.to_thread(self.catalog.resolve, name, field=field)

    async def _require(self, platform: core_pb2.Platform.ValueType) -> str:
        return (await self.capabilities.require(platform_name(platform))).platform


async def _events(execution: PlanExecution) -> AsyncIterator[Event]:
    """The events of an execution as they happen; leaving early stops it and waits until it has let go."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.ensure_future(execution.run(queue.put_nowait))
    task.add_done_callback(lambda _task: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        yield await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
