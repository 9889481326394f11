"""Messages of the pool's contract to its own types and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import duration_pb2

from corun.errors import InvalidField
from corun.resource_pool.capabilities import EngineCapability
from corun.resource_pool.core.engine_choice import Fallback
from corun.resource_pool.core.plan import Plan, PlannedRun
from corun.resource_pool.core.shared_tensors import SharedTensor
from corun.resource_pool.inference import Inferred
from corun.resource_pool.models import ItemResult, Model, ModelEntry
from corun.resource_pool.profiling import Profile
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages

Array = npt.NDArray[Any]


def platform_value(name: str) -> core_pb2.Platform.ValueType:
    """The enum's value of wasm, webgpu or webnn."""
    return core_pb2.Platform.Value(f"PLATFORM_{name.upper()}")


def origin_value(origin: str) -> core_pb2.WeightsOrigin.ValueType:
    """The enum's value of PRETRAINED, SEEDED or NONE."""
    return core_pb2.WeightsOrigin.Value(f"WEIGHTS_ORIGIN_{origin}")


def to_plan(plan: core_pb2.Plan) -> Plan:
    """The plan without what only its author needs."""
    stages = tuple(
        tuple(PlannedRun(run.model_name, run.batch_size, run.lane, tuple(run.members)) for run in stage.runs)
        for stage in plan.stages
    )
    return Plan(stages, tuple(plan.lane_widths), plan.replicas if plan.HasField("replicas") else 1)


def from_entry(entry: ModelEntry) -> messages.ModelInfo:
    """A model as it is listed, prepared or not."""
    return messages.ModelInfo(
        name=entry.name,
        model_type=entry.model_type,
        weights_origin=origin_value(entry.weights_origin),
        source=entry.source,
        license=entry.license,
        prepared=entry.prepared,
    )


def from_model(model: Model) -> messages.ModelInfo:
    """A prepared model with everything that is known of it."""
    return messages.ModelInfo(
        name=model.name,
        model_type=model.model_type,
        weights_origin=origin_value(model.weights_origin),
        source=model.source,
        license=model.license,
        prepared=True,
        size_bytes=model.size_bytes,
        sha256=model.sha256,
        inputs=[_from_spec(spec) for spec in model.inputs],
        outputs=[_from_spec(spec) for spec in model.outputs],
        features=core_pb2.GraphFeatures(
            flops_per_item=model.features.flops_per_item,
            weight_bytes=model.features.weight_bytes,
            activation_bytes_per_item=model.features.activation_bytes_per_item,
            operator_count=model.features.operator_count,
            dynamic_batch=model.features.dynamic_batch,
        ),
        accepts=model.accepts,
    )


def _from_spec(spec: Any) -> messages.TensorSpec:
    return messages.TensorSpec(name=spec.name, data_type=spec.data_type, shape=[str(size) for size in spec.shape])


def to_arrays(tensors: Sequence[core_pb2.Tensor], *, field: str = "") -> dict[str, Array]:
    """Tensors by name.

    Raises:
        InvalidField: a name comes twice, or the content's length is not what type and shape say.
    """
    arrays: dict[str, Array] = {}
    for index, tensor in enumerate(tensors):
        where = field or f"tensors[{index}]"
        if tensor.name in arrays:
            raise InvalidField(f"{where}.name", f"{tensor.name!r} is given twice")
        dtype = np.dtype(core_pb2.DataType.Name(tensor.data_type).removeprefix("DATA_TYPE_").lower())
        expected = dtype.itemsize * int(np.prod(tensor.shape, dtype=object))
        if len(tensor.content) != expected:
            shape = list(tensor.shape)
            raise InvalidField(
                f"{where}.content",
                f"{len(tensor.content)} bytes for {dtype.name} of shape {shape}; it takes {expected}",
            )
        arrays[tensor.name] = np.frombuffer(tensor.content, dtype=dtype).reshape(tuple(tensor.shape))
    return arrays


def from_array(name: str, array: Array) -> core_pb2.Tensor:
    """A tensor message with a copy of the array."""
    data_type = core_pb2.DataType.Value(f"DATA_TYPE_{array.dtype.name.upper()}")
    return core_pb2.Tensor(name=name, data_type=data_type, shape=array.shape, content=array.tobytes())


def to_items(items: list[messages.InferItem], accepts: str) -> list[str | bytes]:
    """What the items hold.

    Raises:
        InvalidField: an item is not of the kind that the model takes.
    """
    found: list[str | bytes] = []
    for index, item in enumerate(items):
        kind = item.WhichOneof("content")
        if kind != accepts:
            takes = f"this model takes {accepts}" if accepts else "this model takes raw tensors only"
            raise InvalidField(f"items[{index}].{kind}", takes)
        found.append(item.text if kind == "text" else item.image if kind == "image" else item.audio)
    return found


def from_item_result(result: ItemResult) -> messages.ItemResult:
    """What the outputs mean for one item."""
    return messages.ItemResult(
        embedding=result.embedding,
        labels=[messages.Label(name=label.name, index=label.index, score=label.score) for label in result.labels],
        speech_segments=[
            messages.SpeechSegment(start=_duration(start), end=_duration(end)) for start, end in result.speech
        ],
        transcript=result.transcript,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def from_engine(engine: EngineCapability) -> messages.EngineCapability:
    """An engine as probed."""
    return messages.EngineCapability(
        engine=engine.engine,
        version=engine.version,
        available=engine.available,
        detail=engine.detail,
        sandboxed=engine.sandboxed,
        platforms=[
            messages.PlatformCapability(
                platform=platform_value(each.platform),
                supported=each.supported,
                adapter=each.adapter,
                software=each.software,
                detail=each.detail,
            )
            for each in engine.platforms
        ],
    )


def from_profile(profile: Profile) -> messages.ModelProfile:
    """A model measured alone under one setting."""
    setting = messages.ProfileSetting(batch_size=profile.setting.batch_size, lane_width=profile.setting.lane_width)
    return messages.ModelProfile(
        setting=setting,
        run_times_ms=profile.run_times_ms,
        memory_mb=profile.memory_mb,
        load_time_ms=profile.load_time_ms,
        other_programs_cores=profile.other_programs_cores,
    )


def from_fallback(fallback: Fallback | None) -> messages.EngineFallback | None:
    """A preferred engine that could not serve, and the one that did."""
    if fallback is None:
        return None
    return messages.EngineFallback(
        model_type=fallback.model_type, preferred=fallback.preferred, used=fallback.used, reason=fallback.reason
    )


def from_shared_tensor(tensor: SharedTensor) -> messages.SharedTensor:
    """A shared tensor as it lies."""
    return messages.SharedTensor(
        name=tensor.name,
        data_type=core_pb2.DataType.Value(f"DATA_TYPE_{tensor.data_type.upper()}"),
        shape=tensor.shape,
        size_bytes=tensor.size_bytes,
        storage_type=tensor.storage_type,
        owner=tensor.owner,
        connection_id=tensor.connection_id,
        lane_id=tensor.lane_id,
        producer_model=tensor.producer_model,
        consumer_models=tensor.consumer_models,
    )


def to_arrays_or_items(
    items: Sequence[messages.InferItem], tensors: Sequence[core_pb2.Tensor], accepts: str
) -> tuple[tuple[str | bytes, ...], dict[str, Array]]:
    """What a caller brings: items, or arrays by name.

    Raises:
        InvalidField: as `to_items` and `to_arrays`.
    """
    return (tuple(to_items(list(items), accepts)), {}) if items else ((), to_arrays(tensors))


def to_shared_inputs(inputs: Sequence[messages.SharedInput]) -> dict[str, str]:
    """Names of shared tensors, by input.

    Raises:
        InvalidField: an input comes twice.
    """
    found: dict[str, str] = {}
    for index, each in enumerate(inputs):
        if each.input_name in found:
            raise InvalidField(f"shared_inputs[{index}].input_name", f"{each.input_name!r} is given twice")
        found[each.input_name] = each.tensor_name
    return found


def to_kept_outputs(outputs: Sequence[messages.KeptOutput], names: Sequence[str]) -> dict[str, str]:
    """Names to share outputs under, by output.

    Raises:
        InvalidField: an output comes twice or is not among `names`.
    """
    found: dict[str, str] = {}
    for index, each in enumerate(outputs):
        where = f"kept_outputs[{index}].output_name"
        if each.output_name in found:
            raise InvalidField(where, f"{each.output_name!r} is given twice")
        if each.output_name not in names:
            raise InvalidField(where, f"the graph has no output {each.output_name!r}; it has {', '.join(names)}")
        found[each.output_name] = each.tensor_name
    return found


def about_shared_inputs(error: InvalidField, tensor_count: int) -> InvalidField:
    """The same problem, told of the field it came from: shared inputs are checked behind so many tensors."""
    place = re.match(r"tensors\[(\d+)\]", error.field)
    if place is None or int(place[1]) < tensor_count:
        return error
    return InvalidField(f"shared_inputs[{int(place[1]) - tensor_count}]", error.problem)


def from_inferred(inferred: Inferred, results: Sequence[ItemResult], origin: str) -> messages.InferResponse:
    """A run's answer."""
    return messages.InferResponse(
        outputs=[from_array(name, array) for name, array in inferred.outputs.items()],
        results=[from_item_result(result) for result in results],
        run_time_ms=inferred.run_time_ms,
        engine=inferred.engine,
        adapter=inferred.adapter,
        software_adapter=inferred.software_adapter,
        connection_id=inferred.connection_id,
        weights_origin=origin_value(origin),
        boundary_bytes=inferred.boundary_bytes,
        zero_copy=inferred.zero_copy,
        kept=[from_shared_tensor(tensor) for tensor in inferred.kept],
        fallback=from_fallback(inferred.fallback),
    )
