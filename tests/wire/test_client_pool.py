"""The clients' calls of the resource pool, against a real server with a pool that follows a script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, closing

import numpy as np
import pytest

from corun.errors import InferenceFailed, PoolFull
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client import (
    AlreadyExists,
    AsyncClient,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
    connect,
    connect_async,
)
from tests.fakes.client_services import serving
from tests.fakes.scripted_pool import ScriptedPool

FALLBACK = pool_pb2.EngineFallback(preferred="edge", used="chromium", reason="msedge is not installed")


@pytest.fixture
async def pool() -> ScriptedPool:
    return ScriptedPool()


@pytest.fixture
async def pool_client(pool: ScriptedPool) -> AsyncIterator[AsyncClient]:
    async with serving(pool) as target, connect_async(target) as client:
        yield client


def full(retry_after_seconds: float = 0.05) -> PoolFull:
    return PoolFull(max_connections=1, waited_seconds=0, retry_after_seconds=retry_after_seconds)


async def test_models_and_capabilities_are_plain_values(pool_client: AsyncClient, pool: ScriptedPool) -> None:
    model = (await pool_client.list_models())[0]
    assert (model["name"], model["weights_origin"], model["prepared"]) == ("bert-base-uncased", "SEEDED", False)
    assert model["inputs"] == [{"name": "input_ids", "data_type": "int64", "shape": ["batch", 128]}]
    capabilities = await pool_client.capabilities(refresh=True, platform="webgpu", engine="edge")
    assert capabilities["engines"][0]["platforms"][1] == {
        "platform": "webgpu",
        "supported": True,
        "adapter": "SwiftShader",
        "software": True,
        "detail": "",
    }
    assert (pool.requests[-1].refresh, pool.requests[-1].platform, pool.requests[-1].engine) == (True, 1, "edge")
    assert await pool_client.unload("m") == 2


async def test_loading_says_where_and_names_the_browser_that_stood_in(
    pool_client: AsyncClient, pool: ScriptedPool
) -> None:
    pool.fallback = FALLBACK
    assert await pool_client.load("m", platform="wasm", engine="edge") == {
        "connection_id": "c-1",
        "engine": "chromium",
        "load_time_ms": 12.5,
        "already_loaded": False,
        "fallback": {
            "model_type": "",
            "preferred": "edge",
            "used": "chromium",
            "reason": "msedge is not installed",
        },
    }
    assert pool.requests[-1].engine == "edge"


async def test_the_status_tells_of_browsers_leases_health_and_what_was_blocked(pool_client: AsyncClient) -> None:
    status = await pool_client.pool_status()
    (connection,) = status["connections"]
    assert (connection["memory_mb"], connection["run_count"]) == (400, 5)
    assert connection["lanes"][0]["wasm_memory_mb"] == 70
    assert (status["leases"][0]["lease_id"], status["leases"][0]["purpose"]) == ("l7", "a plan")
    assert status["platforms"] == [
        {
            "engine": "chromium",
            "platform": "webgpu",
            "state": "degraded",
            "detail": "the GPU process died",
            "retry_time": "2027-01-15T08:00:00Z",
        }
    ]
    assert status["blocked"] == ["GET http://elsewhere.example/"]
    assert status["warnings"] == ["the sandbox of chromium itself is off"]


async def test_tensors_go_out_and_come_back_as_arrays(pool_client: AsyncClient) -> None:
    ids = np.arange(6, dtype=np.int64).reshape(2, 3)
    answer = await pool_client.infer("m", platform="wasm", tensors={"input_ids": ids})
    np.testing.assert_array_equal(answer.outputs["input_ids"], ids)
    assert (answer.items, answer.run_time_ms, answer.weights_origin) == ([], 7, "PRETRAINED")
    assert (answer.boundary_bytes, answer.zero_copy, answer.fallback) == (48, False, None)


async def test_items_come_back_with_what_they_mean(pool_client: AsyncClient) -> None:
    answer = await pool_client.infer("m", platform="wasm", texts=["a", "b"])
    assert len(answer.items) == 2
    assert answer.items[0]["embedding"] == pytest.approx([0.6, 0.8])
    assert answer.items[0]["labels"] == [{"name": "cat", "index": 3, "score": 0.5}]
    assert "speech_segments" not in answer.items[0]


async def test_exactly_one_kind_of_input_is_taken(pool_client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument, match="exactly one of texts, images, audio, tensors"):
        await pool_client.infer("m", platform="wasm")
    with pytest.raises(InvalidArgument, match="exactly one"):
        await pool_client.infer("m", platform="wasm", texts=["a"], images=[b"x"])
    with pytest.raises(InvalidArgument, match="texts: expected a list of str"):
        await pool_client.infer("m", platform="wasm", texts="one sentence")
    with pytest.raises(InvalidArgument, match=r"images\[0\]: expected bytes; received str"):
        await pool_client.infer("m", platform="wasm", images=["photo.png"])  # type: ignore[list-item]
    with pytest.raises(InvalidArgument, match="texts: beside shared inputs the others are given as tensors"):
        await pool_client.infer("m", platform="wasm", texts=["a"], shared={"x": "y"})
    with pytest.raises(InvalidArgument, match=r"shared\['x'\]: expected the name of a tensor; received 3"):
        await pool_client.infer("m", platform="wasm", shared={"x": 3})  # type: ignore[dict-item]


async def test_an_engine_that_nobody_knows_is_refused_before_anything_is_sent(
    pool_client: AsyncClient, pool: ScriptedPool
) -> None:
    with pytest.raises(InvalidArgument, match=r"^engine: 'opera'.*allowed: chromium, chromium-shell, firefox, chrome"):
        await pool_client.infer("m", platform="wasm", texts=["a"], engine="opera")
    assert pool.requests == []


async def test_a_shared_tensor_is_read_by_another_model_and_released(pool_client: AsyncClient) -> None:
    values = np.array([[1.5, -2.0]], dtype=np.float32)
    shared = await pool_client.share_tensor(
        "hidden", values, producer_model="a", consumer_models=["b"], storage_type="cpu", owner="me"
    )
    assert shared["tensor"] == {
        "name": "hidden",
        "dtype": "float32",
        "shape": [1, 2],
        "size_bytes": 8,
        "storage_type": "cpu",
        "owner": "me",
        "connection_id": "c-1",
        "lane_id": "l-1",
        "producer_model": "a",
        "consumer_models": ["b"],
    }
    assert (shared["boundary_bytes"], shared["engine"]) == (8, "chromium")
    answer = await pool_client.infer("b", platform="wasm", shared={"x": "hidden"})
    np.testing.assert_array_equal(answer.outputs["x"], values)
    assert answer.zero_copy
    assert [tensor["name"] for tensor in (await pool_client.list_tensors())["tensors"]] == ["hidden"]
    assert await pool_client.release_tensor(owner="me") == {"released_count": 1, "released_bytes": 8}
    with pytest.raises(NotFound, match="no shared tensor is named 'hidden'"):
        await pool_client.infer("b", platform="wasm", shared={"x": "hidden"})


async def test_a_kept_output_stays_in_the_pool_under_its_name(pool_client: AsyncClient) -> None:
    hidden = np.ones((1, 4), dtype=np.float32)
    answer = await pool_client.infer("a", platform="webgpu", tensors={"y": hidden}, keep={"y": "kept"}, owner="me")
    assert answer.outputs == {}
    assert [(each["name"], each["storage_type"], each["owner"]) for each in answer.kept] == [("kept", "webgpu", "me")]
    with pytest.raises(AlreadyExists, match="already shared as 'kept'"):
        await pool_client.infer("a", platform="webgpu", tensors={"y": hidden}, keep={"y": "kept"})


async def test_what_cannot_be_shared_is_refused_by_name(pool_client: AsyncClient, pool: ScriptedPool) -> None:
    values = np.zeros(1, dtype=np.float32)
    with pytest.raises(InvalidArgument, match=r"^storage_type: 'gpu'.*allowed: webgpu, webnn, cpu"):
        await pool_client.share_tensor("x", values, producer_model="a", storage_type="gpu")
    with pytest.raises(InvalidArgument, match=r"^consumer_models: expected a list of names; received 'b'"):
        await pool_client.share_tensor("x", values, producer_model="a", consumer_models="b")
    with pytest.raises(InvalidArgument, match=r"^tensor\['x'\]: float64 does not go over the wire"):
        await pool_client.share_tensor("x", values.astype(np.float64), producer_model="a")
    with pytest.raises(InvalidArgument, match="either a name or an owner"):
        await pool_client.release_tensor()
    assert pool.requests == []


async def test_a_watcher_hears_of_every_change_until_it_stops(pool_client: AsyncClient, pool: ScriptedPool) -> None:
    async with asyncio.timeout(10), aclosing(pool_client.watch_pool()) as states:
        first = await anext(states)
        assert (first["changes"], first["status"]["tensor_count"]) == ([], 0)
        assert first["status"]["connections"][0]["connection_id"] == "c-1"
        await pool_client.share_tensor("x", np.zeros(1, dtype=np.float32), producer_model="a")
        second = await anext(states)
    assert (second["changes"], second["status"]["tensor_count"]) == (["x is shared"], 1)
    assert second["sequence"] > first["sequence"]
    assert second["event_time"].endswith("Z")


async def test_watching_ends_quietly_when_its_time_is_over(pool_client: AsyncClient) -> None:
    states = [state async for state in pool_client.watch_pool(timeout_seconds=0.3)]
    assert len(states) == 1


async def test_the_blocking_client_watches_infers_and_shares_as_well() -> None:
    async with serving(ScriptedPool()) as target:

        def work() -> list[object]:
            with connect(target) as client, closing(client.watch_pool()) as states:
                first = next(states)
                client.share_tensor("x", np.zeros(1, dtype=np.float32), producer_model="a")
                answer = client.infer("b", platform="wasm", shared={"input": "x"})
                return [first["changes"], next(states)["changes"], answer.outputs["input"].shape]

        assert await asyncio.to_thread(work) == [[], ["x is shared"], (1,)]


async def test_watching_what_is_not_there_is_an_error() -> None:
    async with serving(ScriptedPool()) as target:
        pass  # the port was free a moment ago and is again
    async with connect_async(target) as client:
        with pytest.raises(Unavailable, match=f"nothing answers at {target}"):
            await anext(client.watch_pool())


async def test_a_full_pool_is_asked_again_when_it_says_so() -> None:
    pool = ScriptedPool(refusals=[full(0.2), full(0.1)])
    async with serving(pool) as target, connect_async(target) as client:
        begin = time.monotonic()
        answer = await client.infer("m", platform="wasm", texts=["a"])
        took = time.monotonic() - begin
    assert answer.run_time_ms == 7
    assert len(pool.requests) == 3
    assert took >= 0.3  # what the pool said, 0.2 s and 0.1 s, and not earlier


async def test_the_blocking_client_comes_back_too() -> None:
    pool = ScriptedPool(refusals=[full()])
    async with serving(pool) as target:

        def work() -> str:
            with connect(target) as client:
                return client.load("m", platform="wasm")["engine"]

        assert await asyncio.to_thread(work) == "chromium"
    assert len(pool.requests) == 2


async def test_a_full_pool_is_not_waited_for_past_the_deadline() -> None:
    pool = ScriptedPool(refusals=[full(5.0)])
    async with serving(pool) as target, connect_async(target) as client:
        with pytest.raises(ResourceExhausted, match="all 1 connections are busy") as caught:
            await client.infer("m", platform="wasm", texts=["a"], timeout_seconds=2)
    assert caught.value.retry_after_seconds == 5
    assert len(pool.requests) == 1


async def test_coming_back_can_be_switched_off() -> None:
    pool = ScriptedPool(refusals=[full()])
    async with serving(pool) as target, connect_async(target, retry_when_full=False) as client:
        with pytest.raises(ResourceExhausted):
            await client.load("m", platform="wasm")
    assert len(pool.requests) == 1


async def test_other_failures_keep_their_reason_and_are_not_tried_again() -> None:
    pool = ScriptedPool(failure=InferenceFailed("m", "bad operator"))
    async with serving(pool) as target, connect_async(target) as client:
        with pytest.raises(FailedPrecondition, match="bad operator") as caught:
            await client.load("m", platform="wasm")
    assert caught.value.reason == "INFERENCE_FAILED"
    assert len(pool.requests) == 1
