"""A machine that lacks browsers, or has broken ones: the service runs on what is left and says what is wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from corun.plumbing.status import RemoteError
from corun.resource_pool.browser import connection
from corun.resource_pool.browser.engines import ENGINES
from corun.v1 import resource_pool_service_pb2 as messages
from tests.faults.faulty_pool import FaultyPool, faulty_pool

HEALTH = health_pb2.HealthCheckResponse
WORKS = "chromium-shell"
OPENED = 3.0
TOLD = 5.0


def executable(folder: Path, script: str) -> Path:
    """A program that is no browser."""
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def put(monkeypatch: pytest.MonkeyPatch, place: Path | None, *, but: str = "") -> None:
    """Every engine but one is found there, or nowhere."""
    for name, engine in list(ENGINES.items()):
        if name != but:
            monkeypatch.setitem(ENGINES, name, replace(engine, find=lambda: place))


async def refusal(pool: FaultyPool, engine: str, platform: str) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.infer(engine, platform=platform)
    assert "Traceback" not in str(caught.value.details())
    return RemoteError.from_rpc(caught.value)


async def test_without_some_engines_the_others_run_and_each_says_how_to_get_it(
    fault_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, None, but=WORKS)
    async with faulty_pool(fault_models) as pool:
        assert await pool.infer("firefox") == WORKS
        found = (await pool.stub.GetCapabilities(messages.GetCapabilitiesRequest())).engines
        missing = {each.engine: each.detail for each in found if not each.available}
        assert missing.keys() == ENGINES.keys() - {WORKS}
        assert all(ENGINES[name].how_to_get in detail for name, detail in missing.items())
        await pool.until_health_is(HEALTH.SERVING)
        await pool.until_health_is(HEALTH.SERVING, "wasm")
        await pool.assert_unharmed(WORKS)


async def test_without_any_engine_the_service_is_up_and_says_that_nothing_runs(
    fault_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, None)
    async with faulty_pool(fault_models) as pool:
        error = await refusal(pool, "chromium", "webnn")
        assert (error.code, error.reason) == ("FAILED_PRECONDITION", "PLATFORM_UNAVAILABLE")
        assert all(engine.how_to_get in error.message for engine in ENGINES.values())
        await pool.until_health_is(HEALTH.SERVING)
        for part in ("wasm", "webgpu", "webnn"):
            await pool.until_health_is(HEALTH.NOT_SERVING, part)
        status = await pool.status()
        assert (list(status.connections), list(status.leases), status.queued_count) == ([], [], 0)


@pytest.mark.parametrize("script", ["exit 3", "exec sleep 30 #"], ids=["ends at once", "never answers"])
async def test_a_browser_that_does_not_come_up_is_told_of_and_leaves_nothing(
    fault_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(connection, "_OPEN_SECONDS", OPENED)
    for name in [name for name in ENGINES if name != "chromium"]:
        monkeypatch.delitem(ENGINES, name)
    put(monkeypatch, executable(tmp_path, script))
    async with faulty_pool(fault_models) as pool:
        begin = time.monotonic()
        error = await refusal(pool, "chromium", "wasm")
        print(f"told after {time.monotonic() - begin:.2f} s: {error.message}")
        assert error.reason == "PLATFORM_UNAVAILABLE"
        assert "chromium" in error.message
        assert time.monotonic() - begin < 2 * OPENED + TOLD
        status = await pool.status()
        assert (list(status.connections), list(status.leases), status.queued_count) == ([], [], 0)
        assert pool.strays() == []
