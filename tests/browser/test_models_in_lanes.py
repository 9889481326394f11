"""Loading, unloading and profiling models in real browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

AUDIO = "silero-vad"


async def test_a_model_is_loaded_once_and_unloaded_everywhere(pool: ResourcePoolServiceAsyncStub) -> None:
    load = messages.LoadModelRequest(model_name="all-minilm-l6-v2", platform=core_pb2.PLATFORM_WASM)
    await pool.LoadModel(load)
    second = await pool.LoadModel(load)
    assert second.already_loaded
    assert second.load_time_ms == 0

    unload = messages.UnloadModelRequest(model_name="all-minilm-l6-v2")
    assert (await pool.UnloadModel(unload)).session_count >= 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.UnloadModel(unload)
    assert RemoteError.from_rpc(caught.value).reason == "MODEL_NOT_LOADED"


async def test_a_profile_has_every_counted_run_and_the_memory(pool: ResourcePoolServiceAsyncStub) -> None:
    response = await pool.ProfileModel(
        messages.ProfileModelRequest(
            model_name=AUDIO,
            platform=core_pb2.PLATFORM_WASM,
            settings=[
                messages.ProfileSetting(batch_size=1, lane_width=1),
                messages.ProfileSetting(batch_size=32, lane_width=1),
            ],
            run_count=5,
        )
    )
    small, large = response.profiles
    assert len(small.run_times_ms) == len(large.run_times_ms) == 5
    assert min(large.run_times_ms) > 4 * min(small.run_times_ms)  # 32 times the work
    assert small.memory_mb > 10


async def test_an_unknown_model_is_refused_with_what_there_is(pool: ResourcePoolServiceAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.LoadModel(messages.LoadModelRequest(model_name="nope", platform=core_pb2.PLATFORM_WASM))
    error = RemoteError.from_rpc(caught.value)
    assert (error.code, error.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
    assert AUDIO in error.metadata["available"]


async def test_input_that_does_not_fit_the_model_is_refused_by_field(
    pool: ResourcePoolServiceAsyncStub, photo: bytes
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.Infer(
            messages.InferRequest(
                model_name=AUDIO, platform=core_pb2.PLATFORM_WASM, items=[messages.InferItem(image=photo)]
            )
        )
    error = RemoteError.from_rpc(caught.value)
    assert error.code == "INVALID_ARGUMENT"
    assert error.violations[0].field == "items[0].image"
    assert "audio" in error.message


async def test_capabilities_name_adapters_and_say_why_a_platform_is_missing(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    response = await pool.GetCapabilities(messages.GetCapabilitiesRequest())
    engines = {engine.engine: engine for engine in response.engines}
    assert {"chromium", "chromium-shell", "firefox"} <= set(engines)
    chromium = engines["chromium"]
    assert chromium.available
    assert chromium.version
    found = {each.platform: each for each in chromium.platforms}
    assert found[core_pb2.PLATFORM_WASM].supported
    assert found[core_pb2.PLATFORM_WEBGPU].supported
    assert found[core_pb2.PLATFORM_WEBGPU].adapter
    assert not found[core_pb2.PLATFORM_WEBNN].supported
    assert found[core_pb2.PLATFORM_WEBNN].detail
