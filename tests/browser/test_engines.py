"""Every engine that is installed here, and what they make of the same models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest

from corun.plumbing.settings import cache_folder
from corun.resource_pool.config import Settings
from corun.resource_pool.conversion import from_array
from corun.resource_pool.models import ModelCatalog
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

TEXT, IMAGE, AUDIO, TEXT_INT8 = "paraphrase-minilm-l3-v2", "efficientnet-lite0", "silero-vad", "all-minilm-l6-v2"
UNNAMED_SIZES = "pp-ocr-cls"

# What the set-up installs, and what works in each on any machine.
PLACES = [
    ("chromium", "wasm"),
    ("chromium", "webgpu"),
    ("chromium-shell", "wasm"),
    ("chromium-shell", "webnn"),
    ("firefox", "wasm"),
    ("firefox", "webgpu"),
]
ENGINES = ("chromium", "chromium-shell", "firefox")

# A software GPU takes seconds for what the CPU does in milliseconds: one small model of each type is enough there.
ON_GPU = (TEXT, AUDIO)


@pytest.fixture(scope="module")
async def three_browsers() -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """A pool with room for one browser of each engine."""
    async with serve_pool(Settings(max_connections=3, core_count=2)) as stub:
        yield stub


def platform_of(name: str) -> core_pb2.Platform.ValueType:
    return core_pb2.Platform.Value(f"PLATFORM_{name.upper()}")


async def test_the_three_engines_are_listed_with_what_was_found_by_trying(
    three_browsers: ResourcePoolServiceAsyncStub,
) -> None:
    answer = await three_browsers.GetCapabilities(messages.GetCapabilitiesRequest())
    found = {engine.engine: engine for engine in answer.engines}
    assert all(found[name].available and found[name].version for name in ENGINES)
    good = {
        (engine.engine, core_pb2.Platform.Name(each.platform).removeprefix("PLATFORM_").lower())
        for engine in answer.engines
        for each in engine.platforms
        if each.supported and each.adapter
    }
    assert good >= set(PLACES)
    for engine in answer.engines:
        assert engine.available or engine.detail
        assert all(each.supported or each.detail for each in engine.platforms)


@pytest.mark.parametrize(("engine", "platform"), PLACES, ids=lambda each: each)
async def test_the_same_models_give_the_same_output_everywhere(
    three_browsers: ResourcePoolServiceAsyncStub, engine: str, platform: str
) -> None:
    catalog = ModelCatalog(models_folder=None, cache_folder=cache_folder())
    for name in (TEXT, AUDIO, IMAGE, TEXT_INT8, UNNAMED_SIZES) if platform != "webgpu" else ON_GPU:
        model = await asyncio.to_thread(catalog.resolve, name)
        inputs = model.sample_inputs(1)
        session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        expected = dict(zip(names, session.run(names, inputs), strict=True))
        answer = await three_browsers.Infer(
            messages.InferRequest(
                model_name=name,
                platform=platform_of(platform),
                engine=engine,
                tensors=[from_array(each, array) for each, array in inputs.items()],
            )
        )
        assert answer.engine == engine
        assert not answer.HasField("fallback")
        for tensor in answer.outputs:
            reference = np.asarray(expected[tensor.name])
            found = np.frombuffer(tensor.content, reference.dtype).reshape(reference.shape)
            largest = float(np.abs(reference).max())
            assert np.abs(found - reference).max() <= 1e-3 * largest, (name, tensor.name)


def three_types_at_once() -> core_pb2.Plan:
    runs = [
        core_pb2.PlannedRun(model_name=name, batch_size=1, lane=lane, members=[lane])
        for lane, name in enumerate((TEXT, IMAGE, AUDIO))
    ]
    return core_pb2.Plan(stages=[core_pb2.Stage(runs=runs)], lane_widths=[1, 1, 1])


async def test_models_that_prefer_different_browsers_run_in_three_at_once(
    three_browsers: ResourcePoolServiceAsyncStub,
) -> None:
    request = messages.ExecutePlanRequest(
        plan=three_types_at_once(),
        platform=core_pb2.PLATFORM_WASM,
        iterations=3,
        browser_preferences={"text": "chromium-shell", "vision": "chromium", "audio": "firefox"},
    )
    events = [event async for event in three_browsers.ExecutePlan(request)]
    leased = [event.leased.engine for event in events if event.WhichOneof("event") == "leased"]
    assert sorted(leased) == ["chromium", "chromium-shell", "firefox"]
    measured = events[-1].measured
    assert {(run.model_name, run.engine) for run in measured.runs} == {
        (TEXT, "chromium-shell"),
        (IMAGE, "chromium"),
        (AUDIO, "firefox"),
    }
    assert len({run.connection_id for run in measured.runs}) == 3
    assert all(lane.wasm_memory_mb > 1 for lane in measured.lanes)
    assert list(measured.fallbacks) == []
    for iteration, latency in enumerate(measured.iteration_latencies_ms):
        times = [run.run_time_ms for run in measured.runs if run.iteration == iteration]
        assert max(times) <= latency < sum(times) + 100  # at once, not one after another


async def test_a_browser_that_is_not_there_is_stood_in_for_and_the_result_says_so(
    three_browsers: ResourcePoolServiceAsyncStub,
) -> None:
    request = messages.ExecutePlanRequest(
        plan=core_pb2.Plan(
            stages=[
                core_pb2.Stage(
                    runs=[core_pb2.PlannedRun(model_name=AUDIO, batch_size=1, lane=0, members=[0])],
                )
            ],
            lane_widths=[1],
        ),
        platform=core_pb2.PLATFORM_WASM,
        browser_preferences={"audio": "edge"},
    )
    measured = [event async for event in three_browsers.ExecutePlan(request)][-1].measured
    (fallback,) = measured.fallbacks
    assert (fallback.model_type, fallback.preferred, fallback.used) == ("audio", "edge", "chromium")
    assert "not installed" in fallback.reason
    assert {run.engine for run in measured.runs} == {"chromium"}
