"""Which of its browsers the pool uses, over the wire and without a real one."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest

from corun.plumbing.status import RemoteError
from corun.resource_pool import capabilities
from corun.resource_pool.conversion import from_array, to_arrays
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.fakes.fake_browser import FakeStarter
from tests.fakes.pool_stack import pool_stack
from tests.unit.resource_pool.model_folders import product_graph, run_on_cpu, write_graph


def write_models(folder: Path) -> None:
    for name, kind in (("text", "text_embedding"), ("vision", "vision"), ("audio", "audio")):
        write_graph(folder / name, product_graph(), manifest=f'type = "{kind}"\n')


async def test_capabilities_tell_of_every_engine_and_why_one_is_not_there(tmp_path: Path) -> None:
    async with pool_stack(FakeStarter(), tmp_path) as pool:
        response = await pool.GetCapabilities(messages.GetCapabilitiesRequest())
    found = {engine.engine: engine for engine in response.engines}
    assert {name for name, engine in found.items() if engine.available} == {"chromium", "chromium-shell", "firefox"}
    assert "not installed" in found["chrome"].detail
    webnn = {each.platform: each for each in found["chromium"].platforms}[core_pb2.PLATFORM_WEBNN]
    assert not webnn.supported
    assert "no webnn" in webnn.detail


async def test_a_platform_that_hangs_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "_PROBE_SECONDS", 0.5)
    write_models(tmp_path)
    starter = FakeStarter()
    starter.behaviour.hanging = {"webgpu"}
    request = messages.InferRequest(
        model_name="text",
        platform=core_pb2.PLATFORM_WASM,
        tensors=[from_array("x", np.ones((2, 8), np.float32))],
        engine="firefox",
    )
    async with pool_stack(starter, tmp_path, max_connections=1) as pool:
        response = await pool.Infer(request, timeout=20)
        found = (await pool.GetCapabilities(messages.GetCapabilitiesRequest(engine="firefox"))).engines
    assert (response.engine, response.HasField("fallback")) == ("firefox", False)
    firefox = next(each for each in found if each.engine == "firefox")
    webgpu = next(each for each in firefox.platforms if each.platform == core_pb2.PLATFORM_WEBGPU)
    assert (firefox.available, webgpu.supported) == (True, False)
    assert "did not finish within 0.5 s" in webgpu.detail
    # What hung was not used again.
    assert len([each for each in starter.made if each.engine.name == "firefox"]) >= 3


async def test_a_preferred_engine_that_is_not_installed_falls_back_and_says_so(tmp_path: Path) -> None:
    write_models(tmp_path)
    x = np.ones((2, 8), np.float32)
    request = messages.InferRequest(
        model_name="text", platform=core_pb2.PLATFORM_WASM, tensors=[from_array("x", x)], engine="chrome"
    )
    async with pool_stack(FakeStarter(), tmp_path) as pool:
        response = await pool.Infer(request)
    assert response.engine == "chromium"
    assert (response.fallback.preferred, response.fallback.used) == ("chrome", "chromium")
    assert "not installed" in response.fallback.reason
    expected = run_on_cpu(tmp_path / "text" / "model.onnx", {"x": x})["y"]
    np.testing.assert_array_equal(to_arrays(list(response.outputs))["y"], expected)


async def test_a_plan_with_three_preferences_runs_in_three_browsers_at_once(tmp_path: Path) -> None:
    write_models(tmp_path)
    names = ("text", "vision", "audio")
    runs = [core_pb2.PlannedRun(model_name=name, batch_size=1, lane=n, members=[n]) for n, name in enumerate(names)]
    plan = core_pb2.Plan(stages=[core_pb2.Stage(runs=runs)], lane_widths=[1, 1, 1])
    preferences = {"text": "chromium-shell", "vision": "chromium", "audio": "firefox"}
    request = messages.ExecutePlanRequest(
        plan=plan, platform=core_pb2.PLATFORM_WASM, browser_preferences=preferences, iterations=2
    )
    async with pool_stack(FakeStarter(), tmp_path, max_connections=3) as pool:
        events = [event async for event in pool.ExecutePlan(request)]
    measured = events[-1].measured
    assert {run.model_name: run.engine for run in measured.runs} == {name: preferences[name] for name in names}
    assert len(measured.runs) == 6
    assert not measured.fallbacks


async def test_a_platform_that_no_engine_offers_is_refused_with_those_that_are(tmp_path: Path) -> None:
    write_models(tmp_path)
    starter = FakeStarter()
    starter.behaviour.missing = {name: {"webnn"} for name in starter.engines}
    request = messages.LoadModelRequest(model_name="text", platform=core_pb2.PLATFORM_WEBNN)
    async with pool_stack(starter, tmp_path) as pool:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pool.LoadModel(request)
    error = RemoteError.from_rpc(caught.value)
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "PLATFORM_UNAVAILABLE")
    assert "wasm" in error.metadata["offered"]


@pytest.mark.parametrize(("platform", "apart"), [(core_pb2.PLATFORM_WASM, False), (core_pb2.PLATFORM_WEBNN, True)])
async def test_where_a_session_is_of_one_shape_plans_of_other_shapes_are_measured_apart(
    tmp_path: Path, platform: core_pb2.Platform.ValueType, apart: bool
) -> None:
    write_models(tmp_path)

    def request(batch_size: int, *, own: bool = False) -> messages.ExecutePlanRequest:
        run = core_pb2.PlannedRun(model_name="text", batch_size=batch_size, lane=0, members=[0])
        plan = core_pb2.Plan(stages=[core_pb2.Stage(runs=[run])], lane_widths=[1])
        tensors = [from_array("x", np.ones((batch_size, 8), np.float32))]
        inputs = [messages.MemberInput(member=0, tensors=tensors)] if own else []
        return messages.ExecutePlanRequest(plan=plan, platform=platform, iterations=1, inputs=inputs)

    async with pool_stack(FakeStarter(), tmp_path, max_connections=3) as pool:

        async def browser_of(asked: messages.ExecutePlanRequest) -> str:
            events = [event async for event in pool.ExecutePlan(asked, timeout=20)]
            return next(event.leased.connection_id for event in events if event.HasField("leased"))

        four, two, again = [await browser_of(request(batch_size)) for batch_size in (4, 2, 4)]
        own = [await browser_of(request(batch_size, own=True)) for batch_size in (3, 5)]
    assert again == four
    assert (two != four) is apart
    assert set(own) <= {four, two}
