"""Commands about browsers, the pool and single models, each a process, against a pool that follows a script."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import numpy as np

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client import connect_async
from tests.fakes.client_services import serving
from tests.fakes.scripted_pool import ScriptedPool
from tests.wire.test_client_command import corun, start


async def test_engines_are_listed_with_every_platform_and_how_to_get_what_is_missing() -> None:
    async with serving(ScriptedPool()) as target:
        code, out, err = await corun("engines", "--target", target)
    assert (code, err) == (0, "")
    assert "SwiftShader (software)" in out
    assert "not supported on this platform" in out
    (firefox,) = [line for line in out.splitlines() if "firefox" in line]
    assert "absent" in firefox
    assert "apt install firefox-esr" in firefox


async def test_engines_with_json_are_one_document_and_refresh_is_passed_on() -> None:
    pool = ScriptedPool()
    async with serving(pool) as target:
        code, out, _ = await corun("engines", "--refresh", "--target", target, "--json")
    assert code == 0
    found = {engine["engine"]: engine["available"] for engine in json.loads(out)["engines"]}
    assert found == {"chromium": True, "firefox": False}
    assert pool.requests[0].refresh


async def test_the_pool_is_shown_with_lanes_leases_health_and_warnings() -> None:
    async with serving(ScriptedPool()) as target:
        code, out, err = await corun("pool", "--target", target)
    assert (code, err) == (0, "")
    for words in ("c-1 chromium", "l-1 wasm, 2 threads", "a plan", "the GPU process died", "elsewhere.example"):
        assert words in out, words
    assert "warning: the sandbox of chromium itself is off" in out


async def test_the_pool_with_json_is_one_document() -> None:
    async with serving(ScriptedPool()) as target:
        code, out, _ = await corun("pool", "--target", target, "--json")
    assert (code, json.loads(out)["connections"][0]["engine"]) == (0, "chromium")


async def test_watching_with_json_prints_one_document_a_line_until_it_is_interrupted() -> None:
    async with serving(ScriptedPool()) as target, connect_async(target) as client:
        process = await start("pool", "--watch", "--json", "--target", target)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            first = json.loads(await process.stdout.readline())
            await client.share_tensor("x", np.zeros(1, dtype=np.float32), producer_model="a")
            second = json.loads(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            rest, err = await process.communicate()
    assert (first["changes"], second["changes"]) == ([], ["x is shared"])
    assert (process.returncode, rest, err) == (0, b"", b"")


async def test_watching_without_a_terminal_prints_a_line_a_change() -> None:
    async with serving(ScriptedPool()) as target, connect_async(target) as client:
        process = await start("pool", "--watch", "--target", target)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            first = await process.stdout.readline()
            await client.share_tensor("x", np.zeros(1, dtype=np.float32), producer_model="a")
            second = await process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    assert first.decode().endswith("1 browsers\n")
    assert second.decode().endswith("x is shared\n")
    assert process.returncode == 0


async def test_a_pool_that_does_not_answer_is_one_line_and_a_failure() -> None:
    async with serving(ScriptedPool()) as target:
        pass  # the port was free a moment ago and is again
    for arguments in (("pool",), ("pool", "--watch")):
        code, out, err = await corun(*arguments, "--target", target)
        assert (code, out) == (1, "")
        assert err.startswith(f"corun: nothing answers at {target}")


async def test_inference_prints_what_the_outputs_mean_and_names_a_browser_that_stood_in() -> None:
    fallback = pool_pb2.EngineFallback(preferred="edge", used="chromium", reason="msedge is not installed")
    pool = ScriptedPool(fallback=fallback)
    async with serving(pool) as target:
        arguments = ("infer", "bert-base-uncased", "--text", "a", "--text", "b", "--engine", "edge")
        code, out, err = await corun(*arguments, "--platform", "webgpu", "--target", target)
    assert (code, err) == (0, "")
    assert "item 2: embedding of 2 numbers: +0.6000, +0.8000" in out
    assert "cat" in out
    assert "it was to run in edge, but ran in chromium: msedge is not installed" in out
    request = pool.requests[0]
    assert ([item.text for item in request.items], request.engine, request.platform) == (["a", "b"], "edge", 1)


async def test_inference_on_files_with_json_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"a picture")
    pool = ScriptedPool()
    async with serving(pool) as target:
        code, out, _ = await corun("infer", "m", "--image", str(path), "--target", target, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["items"][0]["labels"] == [{"name": "cat", "index": 3, "score": 0.5}]
    assert (document["engine"], document["weights_origin"], document["fallback"]) == ("chromium", "PRETRAINED", None)
    assert pool.requests[0].items[0].image == b"a picture"
