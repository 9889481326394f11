"""What this machine's engines can do, found out by doing it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from corun.errors import BrowserLost, CorunError, PlatformUnavailable, PoolFull, StepTimedOut
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.sandbox import is_sandboxed
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.core.engine_choice import EngineChoice, Offer, candidates, choose_engine
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.pool import Pool

PLATFORMS = ("wasm", "webgpu", "webnn")
_PROBE_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0


class _ProbeHung(LaneFailed):
    """A platform came up and did not answer."""


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
    """Probes each engine when it is first asked for, by running a one-node model on each platform."""

    def __init__(self, *, pool: Pool, pages: PageServer, folder: Path) -> None:
        self._pool = pool
        self._pages = pages
        self._folder = folder
        self._found: dict[str, EngineCapability] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def probed(self) -> list[EngineCapability]:
        """What has been found out so far."""
        return list(self._found.values())

    async def engines(
        self, *, refresh: bool = False, platform: str = "", preferred: str = ""
    ) -> list[EngineCapability]:
        """Every engine that corun knows, probed now if it was not yet or, with `refresh`, again.

        With a platform, engines are tried until one has it, the preferred one and its relatives first, and only
        those come back that were tried.
        """
        if refresh:
            self._found.clear()
        tried = []
        for name in candidates(preferred, tuple(self._pool.fleet.engines)):
            found = await self._engine_now(self._pool.fleet.engines[name])
            tried.append(found)
            if any(each.platform == platform and each.supported for each in found.platforms):
                break
        return tried

    async def engine_for(self, platform: str, *, preferred: str = "", model_type: str = "") -> EngineChoice:
        """The engine that serves a platform: the preferred one, or the next that can, with the reason why.

        Raises:
            PlatformUnavailable: none can; the message says why and what there is.
            PoolFull: an engine that was never tried cannot be tried now.
        """
        offers: list[Offer] = []
        for name in candidates(preferred, tuple(self._pool.fleet.engines)):
            offers.append(Offer(name, await self._problem(self._pool.fleet.engines[name], platform)))
            choice = choose_engine(preferred, offers, model_type=model_type)
            if choice is not None:
                return choice
        details = "; ".join(dict.fromkeys(offer.problem for offer in offers))
        waits = [self._pool.fleet.health.retry_after_seconds(name, platform) for name in self._pool.fleet.engines]
        retry = min((each for each in waits if each), default=None)
        raise PlatformUnavailable(platform, self._offered(), details, retry_after_seconds=retry)

    def _offered(self) -> list[str]:
        return [each.platform for engine in self.probed for each in engine.platforms if each.supported]

    async def _problem(self, engine: Engine, platform: str) -> str:
        found = await self._engine(engine)
        if not found.available:
            return found.detail
        supported = next(each for each in found.platforms if each.platform == platform)
        if not supported.supported:
            return f"{engine.name}: {supported.detail}"
        return self._pool.fleet.health.problem(engine.name, platform)

    async def _engine_now(self, engine: Engine) -> EngineCapability:
        """What can be said of an engine at once, if only that there is no place to try it."""
        try:
            return await self._engine(engine)
        except PoolFull as error:
            return EngineCapability(engine.name, "", False, False, f"{engine.name} could not be tried: {error}", ())

    async def _engine(self, engine: Engine) -> EngineCapability:
        """What is known of an engine. One that could not be started is tried again at the next question."""
        async with self._locks[engine.name]:
            known = self._found.get(engine.name)
            if known is None or not known.available:
                known = self._found[engine.name] = await self._probe_engine(engine)
                self._pool.feed.note(f"{engine.name} was tried")
            return known

    async def _probe_engine(self, engine: Engine) -> EngineCapability:
        sandboxed = await asyncio.to_thread(is_sandboxed, engine)
        if engine.find() is None:
            detail = f"{engine.name} is not installed: {engine.how_to_get}"
            return EngineCapability(engine.name, "", False, sandboxed, detail, ())
        platforms, version = [], ""
        for platform in PLATFORMS:
            if platform not in engine.platforms:
                detail = f"{engine.name} has no {platform}"
                platforms.append(PlatformCapability(platform, False, detail=detail))
                continue
            try:
                found, version = await self._probe_with_retry(engine, platform)
                platforms.append(found)
            except LaneFailed as error:
                platforms.append(PlatformCapability(platform, False, detail=str(error)))
            except PoolFull:
                raise
            except CorunError as error:
                return EngineCapability(engine.name, version, False, sandboxed, f"{engine.name}: {error}", ())
        return EngineCapability(engine.name, version, True, sandboxed, "", tuple(platforms))

    async def _probe_with_retry(self, engine: Engine, platform: str) -> tuple[PlatformCapability, str]:
        try:
            return await self._probe_platform(engine, platform)
        except (BrowserLost, _ProbeHung):
            return await self._probe_platform(engine, platform)

    async def _probe_platform(self, engine: Engine, platform: str) -> tuple[PlatformCapability, str]:
        path, digest = await asyncio.to_thread(_write_probe, self._folder)
        need = ConnectionNeed(engine.name, platform, ())
        async with self._pool.lease(
            (need,), purpose=f"a probe of {platform}", exclusive=False, patience_seconds=_PATIENCE_SECONDS
        ) as lease:
            (connection,) = lease.connections
            lease.renew(_PROBE_SECONDS)
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    capability = await self._probe_lane(connection, platform, path, digest)
            except (StepTimedOut, TimeoutError) as error:
                connection.suspect = True  # what hangs in one lane may hang in the next
                raise _ProbeHung(f"a run did not finish within {_PROBE_SECONDS:g} s") from error
            return capability, connection.version

    async def _probe_lane(
        self, connection: BrowserConnection, platform: str, path: Path, digest: str
    ) -> PlatformCapability:
        lane = await connection.open_lane(platform=platform, width=1)
        try:
            await self._run_probe(lane, path, digest)
            return PlatformCapability(platform, True, lane.adapter, lane.software_adapter)
        finally:
            await asyncio.shield(connection.close_lane(lane.lane_id))

    async def _run_probe(self, lane: Lane, path: Path, digest: str) -> None:
        url = self._pages.publish_model(digest, path)
        await lane.load("probe", url, {}, timeout=_PROBE_SECONDS)
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
