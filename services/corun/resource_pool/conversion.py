"""Messages of the pool's contract to its own types and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import duration_pb2

from corun.errors import InvalidField
from corun.resource_pool.capabilities import EngineCapability
from corun.resource_pool.core.plan import Plan, PlannedRun
from corun.resource_pool.models import ItemResult, Model, ModelEntry
from corun.resource_pool.pool import Slot
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
        tuple(PlannedRun(run.model_name, run.batch_size, run.lane) for run in stage.runs) for stage in plan.stages
    )
    return Plan(stages, tuple(plan.lane_widths))


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


def to_arrays(tensors: list[core_pb2.Tensor]) -> dict[str, Array]:
    """Tensors by name.

    Raises:
        InvalidField: a name comes twice, or the content's length is not what type and shape say.
    """
    arrays: dict[str, Array] = {}
    for index, tensor in enumerate(tensors):
        if tensor.name in arrays:
            raise InvalidField(f"tensors[{index}].name", f"{tensor.name!r} is given twice")
        dtype = np.dtype(core_pb2.DataType.Name(tensor.data_type).removeprefix("DATA_TYPE_").lower())
        expected = dtype.itemsize * int(np.prod(tensor.shape, dtype=object))
        if len(tensor.content) != expected:
            shape = list(tensor.shape)
            raise InvalidField(
                f"tensors[{index}].content",
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
    )


def from_slot(slot: Slot, memory_mb: float) -> messages.ConnectionStatus:
    """A browser as it is now."""
    connection = slot.connection
    return messages.ConnectionStatus(
        connection_id=connection.connection_id,
        engine=connection.engine.name,
        state=slot.state,
        process_id=connection.process_id,
        memory_mb=memory_mb,
        idle_memory_mb=connection.idle_memory_mb,
        lease_count=connection.lease_count,
        lanes=[
            messages.LaneStatus(
                lane_id=lane.lane_id,
                platform=platform_value(lane.platform),
                width=lane.width,
                model_names=sorted(lane.model_names),
            )
            for lane in connection.lanes.values()
        ],
    )
