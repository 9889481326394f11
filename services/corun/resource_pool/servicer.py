"""The pool's contract: message to decision to message, and nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc

from corun.errors import CorunError, InvalidField, ModelNotLoaded
from corun.plumbing.names import platform_name
from corun.resource_pool import conversion
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.config import Settings
from corun.resource_pool.core.engine_choice import preferences_by_type
from corun.resource_pool.core.events import Event
from corun.resource_pool.core.plan import Plan, check_plan, check_width
from corun.resource_pool.event_messages import from_event
from corun.resource_pool.execution import PlanExecution
from corun.resource_pool.inference import Inference, InferOrder, stand_in
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.plan_inputs import Batch, MemberInput, batches_of
from corun.resource_pool.plan_order import MeasuringRules, PlanOrder
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation
from corun.resource_pool.profiling import Setting, profile
from corun.resource_pool.sharing import ShareOrder, Sharing
from corun.resource_pool.status import PoolStatus
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
    sharing: Sharing
    status: PoolStatus

    @property
    def _rules(self) -> MeasuringRules:
        return MeasuringRules(self.settings.memory_interval_seconds, self.settings.settle_seconds)

    async def ListModels(self, request: messages.ListModelsRequest, context: Context) -> messages.ListModelsResponse:
        if not request.names:
            return messages.ListModelsResponse(models=await asyncio.to_thread(self._list))
        models = [await self._resolve(name, f"names[{index}]") for index, name in enumerate(request.names)]
        return messages.ListModelsResponse(models=[conversion.from_model(model) for model in models])

    async def GetCapabilities(
        self, request: messages.GetCapabilitiesRequest, context: Context
    ) -> messages.GetCapabilitiesResponse:
        platform = platform_name(request.platform) if request.platform else ""
        engines = await self.capabilities.engines(refresh=request.refresh, platform=platform, preferred=request.engine)
        return messages.GetCapabilitiesResponse(
            engines=[conversion.from_engine(engine) for engine in engines],
            core_count=self.settings.core_count,
            max_connections=self.settings.max_connections,
        )

    async def LoadModel(self, request: messages.LoadModelRequest, context: Context) -> messages.LoadModelResponse:
        model = await self._resolve(request.model_name, "model_name")
        loaded = await self.inference.load(
            model,
            platform=platform_name(request.platform),
            preferred_engine=request.engine,
            deadline=_deadline(context),
        )
        return messages.LoadModelResponse(
            connection_id=loaded.connection_id,
            already_loaded=loaded.already_loaded,
            load_time_ms=loaded.load_time_ms,
            engine=loaded.engine,
            fallback=conversion.from_fallback(loaded.fallback),
        )

    async def UnloadModel(self, request: messages.UnloadModelRequest, context: Context) -> messages.UnloadModelResponse:
        platform = platform_name(request.platform) if request.platform else None
        count = await self.inference.unload(request.model_name, platform=platform)
        if count == 0:
            raise ModelNotLoaded(request.model_name)
        return messages.UnloadModelResponse(session_count=count)

    async def Infer(self, request: messages.InferRequest, context: Context) -> messages.InferResponse:
        model = await self._resolve(request.model_name, "model_name")
        items, inputs = conversion.to_arrays_or_items(request.items, request.tensors, model.accepts)
        if items:
            inputs = await asyncio.to_thread(model.encode, items)
        shared = conversion.to_shared_inputs(request.shared_inputs)
        self._check_inputs(model, inputs, shared)
        inferred = await self.inference.run(
            InferOrder(
                model=model,
                inputs=inputs,
                platform=platform_name(request.platform),
                preferred_engine=request.engine,
                shared=shared,
                kept=conversion.to_kept_outputs(request.kept_outputs, [spec.name for spec in model.outputs]),
                owner=request.owner,
                deadline=_deadline(context),
            )
        )
        results = model.decode(inferred.outputs, inputs) if items and model.can_decode(inferred.outputs) else []
        return conversion.from_inferred(inferred, results, model.weights_origin)

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
            platform=platform_name(request.platform),
            preferred_engine=request.engine,
            run_count=request.run_count if request.HasField("run_count") else None,
            pool=self.pool,
            preparation=self.preparation,
            capabilities=self.capabilities,
            rules=self._rules,
            deadline=_deadline(context),
        )
        return messages.ProfileModelResponse(
            profiles=[conversion.from_profile(each) for each in profiles],
            engine=profiles[0].engine,
            adapter=profiles[0].adapter,
            fallback=conversion.from_fallback(profiles[0].fallback),
        )

    async def ExecutePlan(
        self, request: messages.ExecutePlanRequest, context: Context
    ) -> AsyncIterator[messages.ExecutePlanResponse]:
        plan = conversion.to_plan(request.plan)
        check_plan(plan, core_count=self.settings.core_count)
        models = await self._models_of(plan)
        platform = platform_name(request.platform)
        await self.capabilities.engine_for(platform)  # a platform that nobody has is refused before anything starts
        order = PlanOrder(
            plan=plan,
            models=models,
            platform=platform,
            batches=await _batches_of(plan, models, request.inputs),
            preferences=preferences_by_type(request.browser_preferences),
            iterations=request.iterations if request.HasField("iterations") else 1,
            warmup_iterations=request.warmup_iterations,
            return_outputs=request.return_outputs,
            rules=self._rules,
            deadline=_deadline(context),
        )
        execution = PlanExecution(self.pool, self.preparation, self.capabilities, order)
        sequence = 0
        async with aclosing(_events(execution)) as events:
            async for event in events:
                sequence += 1
                yield from_event(event, sequence=sequence)

    async def GetPoolStatus(
        self, request: messages.GetPoolStatusRequest, context: Context
    ) -> messages.GetPoolStatusResponse:
        return await self.status.weighed()

    async def WatchPool(
        self, request: messages.WatchPoolRequest, context: Context
    ) -> AsyncIterator[messages.WatchPoolResponse]:
        async with aclosing(self.status.changes()) as changes:
            async for change in changes:
                yield change

    async def ShareTensor(self, request: messages.ShareTensorRequest, context: Context) -> messages.ShareTensorResponse:
        producer = await self._resolve(request.producer_model, "producer_model")
        consumers = [
            await self._resolve(name, f"consumer_models[{index}]") for index, name in enumerate(request.consumer_models)
        ]
        (array,) = conversion.to_arrays([request.tensor], field="tensor").values()
        shared = await self.sharing.share(
            ShareOrder(
                name=request.tensor.name,
                array=array,
                producer=producer,
                consumers=tuple(consumers),
                storage_type=request.storage_type,
                owner=request.owner,
                preferred_engine=request.engine,
                deadline=_deadline(context),
            )
        )
        return messages.ShareTensorResponse(
            tensor=conversion.from_shared_tensor(shared.tensor),
            boundary_bytes=shared.boundary_bytes,
            fallback=conversion.from_fallback(shared.fallback),
            engine=shared.engine,
            adapter=shared.adapter,
        )

    async def ReleaseTensor(
        self, request: messages.ReleaseTensorRequest, context: Context
    ) -> messages.ReleaseTensorResponse:
        books = self.sharing.tensors
        by_name = request.WhichOneof("target") == "tensor_name"
        tensors = [books.get(request.tensor_name)] if by_name else books.of_owner(request.owner)
        await self.sharing.release(tensors)
        return messages.ReleaseTensorResponse(
            released_count=len(tensors), released_bytes=sum(tensor.size_bytes for tensor in tensors)
        )

    async def ListTensors(self, request: messages.ListTensorsRequest, context: Context) -> messages.ListTensorsResponse:
        books = self.sharing.tensors
        return messages.ListTensorsResponse(
            tensors=[conversion.from_shared_tensor(tensor) for tensor in books.all()], limit_bytes=books.limit_bytes
        )

    def _check_inputs(self, model: Model, inputs: Mapping[str, Any], shared: Mapping[str, str]) -> None:
        """All inputs, shared ones by their type and shape, before anything moves."""
        stand_ins = {name: stand_in(self.sharing.tensors.get(tensor)) for name, tensor in shared.items()}
        twice = [name for name in stand_ins if name in inputs]
        if twice:
            raise InvalidField("shared_inputs", f"input {twice[0]!r} is also among the tensors")
        try:
            model.check_inputs({**inputs, **stand_ins})
        except InvalidField as error:
            raise conversion.about_shared_inputs(error, len(inputs)) from error

    async def _models_of(self, plan: Plan) -> dict[str, Model]:
        fields: dict[str, str] = {}
        for number, stage in enumerate(plan.stages):
            for index, run in enumerate(stage):
                fields.setdefault(run.model_name, f"plan.stages[{number}].runs[{index}].model_name")

        def resolved() -> dict[str, Model]:
            return {name: self.catalog.resolve(name, field=field) for name, field in fields.items()}

        models = self.catalog.fresh(fields)
        return await asyncio.to_thread(resolved) if models is None else models

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


async def _batches_of(
    plan: Plan, models: Mapping[str, Model], inputs: Sequence[messages.MemberInput]
) -> dict[tuple[int, int], tuple[Batch, ...]]:
    """Inputs may be pictures and sounds to be decoded; without any there is nothing to be done in a thread."""
    return await asyncio.to_thread(_batches, plan, models, inputs) if inputs else _batches(plan, models, inputs)


def _batches(
    plan: Plan, models: Mapping[str, Model], inputs: Sequence[messages.MemberInput]
) -> dict[tuple[int, int], tuple[Batch, ...]]:
    """The inferences of every run of the plan, by stage and index."""
    by_member: dict[int, MemberInput] = {}
    names = {member: run.model_name for stage in plan.stages for run in stage for member in run.members}
    for place, each in enumerate(inputs):
        if each.member in by_member or each.member not in names:
            problem = "is given twice" if each.member in by_member else "is no member of the plan"
            raise InvalidField(f"inputs[{place}].member", f"{each.member} {problem}")
        accepts = models[names[each.member]].accepts
        try:
            items, tensors = conversion.to_arrays_or_items(each.items, each.tensors, accepts)
        except InvalidField as error:
            raise error.inside(f"inputs[{place}]") from error
        by_member[each.member] = MemberInput(place, items, tensors or None)
    return {
        (number, index): batches_of(run, models[run.model_name], by_member)
        for number, stage in enumerate(plan.stages)
        for index, run in enumerate(stage)
    }


def _deadline(context: Context) -> float:
    """The caller's deadline as a monotonic time; infinite where there is none."""
    remaining = context.time_remaining()
    return float("inf") if remaining is None else time.monotonic() + remaining


async def _events(execution: PlanExecution) -> AsyncGenerator[Event, None]:
    """The events of an execution as they happen; leaving early stops it and waits until it has let go."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.ensure_future(execution.run(queue.put_nowait))
    task.add_done_callback(lambda _task: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
