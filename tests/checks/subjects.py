"""What the checks are run on: every engine that is installed here, on each of its platforms, and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import ENGINES
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.starter import Starter
from corun.resource_pool.contract import BrowserConnection, BrowserStarter
from corun.resource_pool.core.connection_state import ConnectionState
from tests.checks.small_models import digest
from tests.fakes.fake_browser import FakeStarter

Array = npt.NDArray[Any]

FAKE = "fake"
STEP_SECONDS = 60.0
_STORAGE = {"wasm": "cpu", "webgpu": "webgpu", "webnn": "webnn"}


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine and one of its platforms; `fake` stands for the browser that is none."""

    engine: str
    platform: str

    def __str__(self) -> str:
        return f"{self.engine}-{self.platform}"

    @property
    def storage(self) -> str:
        """Where its shared tensors lie."""
        return _STORAGE[self.platform]

    @property
    def on_device(self) -> bool:
        """True where what is shared is read without a copy."""
        return self.platform != "wasm"


INSTALLED = [engine for engine in ENGINES.values() if engine.find() is not None]
SUBJECTS = [
    *(Subject(FAKE, platform) for platform in ("wasm", "webgpu")),
    *(Subject(engine.name, platform) for engine in INSTALLED for platform in engine.platforms),
]


@dataclass(slots=True)
class Machine:
    """Starts connections of one engine and publishes models to them."""

    starter: BrowserStarter
    pages: PageServer
    engine: str
    models: Mapping[str, Path]
    _references: dict[str, InferenceSession] = field(default_factory=dict)

    async def open(self) -> BrowserConnection:
        """A browser that is up."""
        name = "chromium" if self.engine == FAKE else self.engine
        connection = self.starter.connection(self.starter.engines[name])
        try:
            await self.starter.open(connection)
        except BaseException:
            await connection.close()
            raise
        connection.become(ConnectionState.READY)
        return connection

    def url(self, model: str) -> str:
        """Where lanes find a model."""
        return self.pages.publish_model(digest(self.models[model]), self.models[model])

    async def load(self, lane: Lane, *models: str) -> None:
        """Loads models into a lane."""
        for model in models:
            dimensions = {each.name: each.shape for each in self.reference(model).get_inputs()}
            await lane.load(model, self.url(model), dimensions, timeout=STEP_SECONDS)

    def reference(self, model: str) -> InferenceSession:
        """The model in onnxruntime on the CPU."""
        if model not in self._references:
            self._references[model] = InferenceSession(self.models[model], providers=["CPUExecutionProvider"])
        return self._references[model]

    def expected(self, model: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What onnxruntime computes on the CPU."""
        session = self.reference(model)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))


@asynccontextmanager
async def machine(engine: str, models: Mapping[str, Path]) -> AsyncIterator[Machine]:
    """Everything that browsers of this engine need."""
    async with AsyncExitStack() as stack:
        pages, deny_proxy, driver = PageServer(), DenyProxy(), Driver()
        stack.push_async_callback(driver.close)
        stack.push_async_callback(pages.close)
        await pages.start()
        stack.push_async_callback(deny_proxy.close)
        await deny_proxy.start()
        starter: BrowserStarter
        if engine == FAKE:
            starter = FakeStarter().with_pages(pages=pages)
        else:
            starter = Starter(driver=driver, pages=pages, deny_proxy=deny_proxy, pool_id=f"checks-{id(stack)}")
        yield Machine(starter, pages, engine, models)
        await asyncio.sleep(0)
