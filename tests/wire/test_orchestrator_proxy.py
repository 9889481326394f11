"""A long stream through a proxy that cuts idle connections, from Python and from Node.

The proxy cuts after `CORUN_TEST_IDLE_SECONDS`, by default 1 second, so that the stream need not be long; with 10 the
orchestrator's own settings are tried, and the stream takes half a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from corun.orchestrator.config import Settings
from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from tests.fakes.idle_proxy import idle_proxy
from tests.fakes.orchestrator_stack import orchestrator_stack, workload

IDLE_SECONDS = float(os.environ.get("CORUN_TEST_IDLE_SECONDS", "1"))
HEARTBEAT_SECONDS = min(Settings.model_fields["heartbeat_seconds"].default, IDLE_SECONDS * 0.4)
QUIET_SECONDS = 2.5 * IDLE_SECONDS
ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "node"
REQUEST = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload("fake-text"), platform=core_pb2.PLATFORM_WASM)


async def events_through(address: str) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    async with open_channel(address) as channel:
        return [event async for event in OrchestratorServiceStub(channel).ExecuteWithStrategy(REQUEST, timeout=120)]


async def test_a_stream_without_signs_of_life_is_cut() -> None:
    async with orchestrator_stack(heartbeat_seconds=3600) as stack:
        stack.pool.plan_seconds = QUIET_SECONDS
        async with idle_proxy(stack.address, idle_seconds=IDLE_SECONDS) as proxy:
            with pytest.raises(grpc.aio.AioRpcError):
                await events_through(proxy.address)
            assert proxy.cut_count == 1


async def test_a_stream_with_heartbeats_lasts_before_and_after_acceptance() -> None:
    async with orchestrator_stack(heartbeat_seconds=HEARTBEAT_SECONDS) as stack:
        stack.pool.list_seconds = stack.pool.plan_seconds = QUIET_SECONDS
        async with idle_proxy(stack.address, idle_seconds=IDLE_SECONDS) as proxy:
            events = await events_through(proxy.address)
            assert proxy.cut_count == 0
    assert events[-1].HasField("completed")


async def test_node_streams_through_the_proxy_too() -> None:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").exists():
        pytest.skip("needs node and `npm ci` in tests/node, which `make test` does")
    async with orchestrator_stack(heartbeat_seconds=HEARTBEAT_SECONDS) as stack:
        stack.pool.list_seconds = stack.pool.plan_seconds = QUIET_SECONDS
        async with idle_proxy(stack.address, idle_seconds=IDLE_SECONDS) as proxy:
            document = await _node(node, str(ROOT / "protos"), proxy.address, "fake-text")
            assert proxy.cut_count == 0
    kinds = document["kinds"]
    assert document["error"] is None
    assert [kind for kind in kinds if kind != "heartbeat"] == ["accepted", "chosen", *["poolEvent"] * 4, "completed"]
    assert kinds.count("heartbeat") >= 4
    assert document["latencyMs"] == 100.0


async def test_node_is_told_of_a_refusal_with_its_code() -> None:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").exists():
        pytest.skip("needs node and `npm ci` in tests/node, which `make test` does")
    async with orchestrator_stack() as stack:
        document = await _node(node, str(ROOT / "protos"), stack.address, "no-such-model")
    assert document["error"]["code"] == "NOT_FOUND"
    assert "no-such-model" in document["error"]["details"]


async def _node(node: str, *arguments: str) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        node, str(NODE / "execute.mjs"), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(150):
            out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    document: dict[str, Any] = json.loads(out)
    return document
