"""A resource pool for tests of the client and the command line: it answers at once, and runs nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from corun.errors import CorunError, UnknownModel
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceServicer
from tests.fakes.fake_tensors import FakeTensors

_STORAGES = {core_pb2.PLATFORM_WASM: "cpu", core_pb2.PLATFORM_WEBGPU: "webgpu", core_pb2.PLATFORM_WEBNN: "webnn"}

SEEDED_MODEL = pool_pb2.ModelInfo(
    name="bert-base-uncased",
    model_type="text_embedding",
    weights_origin=core_pb2.WEIGHTS_ORIGIN_SEEDED,
    source="seed 1",
    inputs=[pool_pb2.TensorSpec(name="input_ids", data_type="int64", shape=["batch", "128"])],
    accepts="text",
)
IMAGE_MODEL = pool_pb2.ModelInfo(name="vit-base-patch16-224", model_type="vision", accepts="image")
AUDIO_MODEL = pool_pb2.ModelInfo(name="whisper-tiny", model_type="audio", accepts="audio")


def working_engine() -> pool_pb2.EngineCapability:
    """Chromium with WebGPU on a software adapter and without WebNN."""
    return pool_pb2.EngineCapability(
        engine="chromium",
        version="156",
        available=True,
        platforms=[
            pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WASM, supported=True),
            pool_pb2.PlatformCapability(
                platform=core_pb2.PLATFORM_WEBGPU, supported=True, adapter="SwiftShader", software=True
            ),
            pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WEBNN, detail="not supported on this platform"),
        ],
    )


def missing_engine() -> pool_pb2.EngineCapability:
    """Firefox, which is not installed."""
    return pool_pb2.EngineCapability(
        engine="firefox", detail="firefox is not installed: apt install firefox-esr", sandboxed=True
    )


@dataclass
class ScriptedPool(ResourcePoolServiceServicer):
    """Lists three models, of which one is seeded; Infer gives its tensors back, shared ones included.

    Attributes:
        failure: Raised by every call where it is set.
        refusals: Raised one after another, before calls go well.
        unprepared: Raised by ListModels with names.
        fallback: What LoadModel, Infer and ShareTensor say of the engine.
        requests: Every request, in order.
    """

    failure: CorunError | None = None
    refusals: Iterable[CorunError] = ()
    unprepared: CorunError | None = None
    fallback: pool_pb2.EngineFallback | None = None
    requests: list[Any] = field(default_factory=list)
    tensors: FakeTensors = field(default_factory=FakeTensors)

    def __post_init__(self) -> None:
        self._refusals = deque(self.refusals)

    async def ListModels(self, request: Any, _context: Any) -> Any:
        self._note(request)
        if request.names and self.unprepared is not None:
            raise self.unprepared
        models = {model.name: model for model in (SEEDED_MODEL, IMAGE_MODEL, AUDIO_MODEL)}
        for index, name in enumerate(request.names):
            if name not in models:
                raise UnknownModel(name, list(models), field=f"names[{index}]")
        return pool_pb2.ListModelsResponse(models=[models[name] for name in request.names or models])

    async def GetCapabilities(self, request: Any, _context: Any) -> Any:
        self._note(request)
        engines = [working_engine(), missing_engine()]
        return pool_pb2.GetCapabilitiesResponse(engines=engines, core_count=2, max_connections=4)

    async def LoadModel(self, request: Any, _context: Any) -> Any:
        self._note(request)
        return pool_pb2.LoadModelResponse(
            connection_id="c-1", load_time_ms=12.5, engine="chromium", fallback=self.fallback
        )

    async def UnloadModel(self, request: Any, _context: Any) -> Any:
        self._note(request)
        return pool_pb2.UnloadModelResponse(session_count=2)

    async def Infer(self, request: Any, _context: Any) -> Any:
        self._note(request)
        outputs = {tensor.name: tensor for tensor in request.tensors}
        for each in request.shared_inputs:
            tensor = core_pb2.Tensor()
            tensor.CopyFrom(self.tensors.read(each.tensor_name))
            tensor.name = each.input_name
            outputs[each.input_name] = tensor
        kept = [await self._keep(request, outputs.pop(each.output_name), each) for each in request.kept_outputs]
        label = pool_pb2.Label(name="cat", index=3, score=0.5)
        return pool_pb2.InferResponse(
            outputs=outputs.values(),
            results=[pool_pb2.ItemResult(embedding=[0.6, 0.8], labels=[label]) for _ in request.items],
            run_time_ms=7,
            engine="chromium",
            connection_id="c-1",
            weights_origin=core_pb2.WEIGHTS_ORIGIN_PRETRAINED,
            boundary_bytes=sum(len(tensor.content) for tensor in request.tensors),
            zero_copy=bool(request.shared_inputs),
            kept=kept,
            fallback=self.fallback,
        )

    async def _keep(self, request: Any, tensor: core_pb2.Tensor, output: pool_pb2.KeptOutput) -> pool_pb2.SharedTensor:
        kept = core_pb2.Tensor()
        kept.CopyFrom(tensor)
        kept.name = output.tensor_name
        entry = pool_pb2.SharedTensor(
            storage_type=_STORAGES[request.platform], owner=request.owner, producer_model=request.model_name
        )
        return await self.tensors.keep(kept, entry)

    async def ProfileModel(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    def ExecutePlan(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        raise NotImplementedError

    async def GetPoolStatus(self, request: Any, _context: Any) -> Any:
        self._note(request)
        return self._status()

    async def WatchPool(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        self._note(request)
        async for state in self.tensors.watch(self._status()):
            yield state

    async def ShareTensor(self, request: Any, _context: Any) -> Any:
        self._note(request)
        response = await self.tensors.share(request, engine="chromium")
        response.adapter = "SwiftShader"
        return response

    async def ReleaseTensor(self, request: Any, _context: Any) -> Any:
        self._note(request)
        return await self.tensors.release(request)

    async def ListTensors(self, request: Any, _context: Any) -> Any:
        self._note(request)
        return self.tensors.listed()

    def _status(self) -> pool_pb2.GetPoolStatusResponse:
        lane = pool_pb2.LaneStatus(
            lane_id="l-1", platform=core_pb2.PLATFORM_WASM, width=2, model_names=["m"], wasm_memory_mb=70
        )
        connection = pool_pb2.ConnectionStatus(
            connection_id="c-1", engine="chromium", state="ready", lanes=[lane], memory_mb=400, run_count=5
        )
        degraded = pool_pb2.PlatformHealth(
            engine="chromium", platform=core_pb2.PLATFORM_WEBGPU, state="degraded", detail="the GPU process died"
        )
        degraded.retry_time.FromSeconds(1_800_000_000)
        return pool_pb2.GetPoolStatusResponse(
            connections=[connection],
            max_connections=4,
            leases=[pool_pb2.LeaseStatus(lease_id="l7", purpose="a plan", connection_ids=["c-1"])],
            platforms=[degraded],
            blocked_count=1,
            blocked=["GET http://elsewhere.example/"],
            warnings=["the sandbox of chromium itself is off"],
        )

    def _note(self, request: Any) -> None:
        self.requests.append(request)
        if self._refusals:
            raise self._refusals.popleft()
        if self.failure is not None:
            raise self.failure
