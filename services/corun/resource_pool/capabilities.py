"""What this machine's engines can do, found out by doing it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from corun.errors import BrowserLost, CorunError, PlatformUnavailable
from corun.resource_pool.browser.engines import ENGINES, Engine, runs_sandboxed
from corun.resource_pool.browser.lane import Lane, LaneFailed
from corun.resource_pool.core.plan import LaneNeed
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation

PLATFORMS = ("wasm", "webgpu", "webnn")
_PROBE_SECONDS = 60.0
_PROBE = LaneNeed(width=1, model_names=frozenset())


@dataclass(frozen=True, slots=True)
class PlatformCapability:
    """What a platform was found to do in an engine; `detail` says why it does not."""

    platform: str
    supported: bool
    adapter: str = ""
    software: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EngineCapability:
    """What an engine was found to do; `detail` says why it is not available and how to get it."""

    engine: str
    version: str
    available: bool
    sandboxed: bool
    detail: str
    platforms: tuple[PlatformCapability, ...]


class Capabilities:
    """Probes each engine once, at the first question, by running a one-node model on each platform."""

    def __init__(self, *, pool: Pool, preparation: Preparation, folder: Path) -> None:
        self._pool = pool
        self._preparation = preparation
        self._folder = folder
        self._found: tuple[EngineCapability, ...] | None = None
        self._lock = asyncio.Lock()

    async def engines(self) -> tuple[EngineCapability, ...]:
        """Every engine that corun knows. A failed probe is tried again at the next question."""
        async with self._lock:
            if self._found is not None:
                return self._found
            found = tuple([await self._probe_engine(engine) for engine in ENGINES])
            if any(engine.available for engine in found):
                self._found = found
            return found

    async def require(self, platform: str) -> PlatformCapability:
        """What is known of a platform that works.

        Raises:
            PlatformUnavailable: it works in no engine; the message says why and what there is.
        """
        everything = [each for engine in await self.engines() for each in engine.platforms]
        for each in everything:
            if each.platform == platform and each.supported:
                return each
        details = [each.detail for each in everything if each.platform == platform]
        details += [engine.detail for engine in await self.engines() if not engine.available]
        offered = [each.platform for each in everything if each.supported]
        raise PlatformUnavailable(platform, offered, "; ".join(details))

    async def _probe_engine(self, engine: Engine) -> EngineCapability:
        if engine.executable() is None:
            return EngineCapability(engine.name, "", False, False, f"not found: {engine.how_to_get}", ())
        platforms, version = [], ""
        for platform in PLATFORMS:
            if platform not in engine.platforms:
                detail = f"{engine.name} has no working {platform} implementation"
                platforms.append(PlatformCapability(platform, False, detail=detail))
                continue
            try:
                capability, version = await self._probe_twice(platform)
                platforms.append(capability)
            except (CorunError, LaneFailed) as error:
                platforms.append(PlatformCapability(platform, False, detail=str(error)))
        available = bool(version)
        detail = "" if available else next(each.detail for each in platforms if each.detail)
        return EngineCapability(engine.name, version, available, runs_sandboxed(), detail, tuple(platforms))

    async def _probe_twice(self, platform: str) -> tuple[PlatformCapability, str]:
        """A browser that dies says nothing about the platform: another is asked, once."""
        try:
            return await self._probe_platform(platform)
        except BrowserLost:
            return await self._probe_platform(platform)

    async def _probe_platform(self, platform: str) -> tuple[PlatformCapability, str]:
        path, digest = await asyncio.to_thread(_write_probe, self._folder)
        async with self._pool.lease((_PROBE,), platform=platform, model_sizes={}, exclusive=False) as lease:
            lane = await lease.connection.open_lane(platform=platform, width=1)
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._run_probe(lane, path, digest)
                return PlatformCapability(platform, True, lane.adapter, lane.software_adapter), lease.connection.version
            finally:
                await asyncio.shield(lease.connection.close_lane(lane.lane_id))

    async def _run_probe(self, lane: Lane, path: Path, digest: str) -> None:
        url = self._preparation.pages.publish_model(digest, path)
        await lane.load("probe", url, timeout=_PROBE_SECONDS)
        values = np.arange(4, dtype=np.float32).reshape(2, 2)
        await lane.put("probe", {"a": values}, timeout=_PROBE_SECONDS)
        reply = await lane.run("probe", "probe", fetch=True, timeout=_PROBE_SECONDS)
        if not np.allclose(reply.outputs["b"], values @ values):
            raise LaneFailed(f"a matrix product came out wrong on {lane.adapter}")


def _write_probe(folder: Path) -> tuple[Path, str]:
    """A model of one matrix product, addressed by its content."""
    shape = [2, 2]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "a"], ["b"])],
        "probe",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString(deterministic=True)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "probe.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, digest
