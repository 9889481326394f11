"""The pool's end of a lane: requests over a WebSocket, answered in order, each with a time limit."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser.frames import Array, Frame, decode, encode

_HELLO_ID = 0

T = TypeVar("T")


class LaneFailed(Exception):
    """The runtime in the lane refused a request; the message is its own."""


@dataclass(frozen=True, slots=True)
class RunReply:
    """Time inside the lane, when the reply arrived (time.perf_counter), and outputs if they were asked for."""

    run_time_ms: float
    arrived_at: float
    outputs: dict[str, Array]


class Lane:
    """A worker in a browser's page with its own runtime and thread count. Runs in it never overlap.

    Args:
        lane_id: Unique in the life of the pool.
        platform: wasm or webgpu.
        width: Threads.
    """

    def __init__(self, *, lane_id: str, platform: str, width: int) -> None:
        self.lane_id = lane_id
        self.platform = platform
        self.width = width
        self.model_names: set[str] = set()
        self.adapter = ""
        self.software_adapter = False
        self.busy = False
        self.failed = False
        self.slots: set[str] = set()
        self.warm_slots: set[str] = set()
        self._socket: web.WebSocketResponse | None = None
        self._numbers = itertools.count(1)
        self._hello: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[tuple[Frame, float]]] = {}
        self._lost: BrowserLost | None = None

    async def attach(self, socket: web.WebSocketResponse) -> None:
        """Reads the worker's socket until it closes. Called once, by the server that accepted it."""
        self._socket = socket
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self._receive(decode(message.data), time.perf_counter())
        finally:
            self.lose("a lane's connection closed")

    def _receive(self, frame: Frame, arrived_at: float) -> None:
        number = int(frame.header["id"])
        if number == _HELLO_ID:
            if not self._hello.done():
                self._hello.set_result(frame)
            return
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result((frame, arrived_at))

    def lose(self, cause: str) -> None:
        """Fails everything that waits for this lane, now and later. Idempotent."""
        if self._lost is not None:
            return
        self._lost = BrowserLost(cause)
        futures: list[asyncio.Future[Any]] = [self._hello, *self._waiting.values()]
        for future in futures:
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # retrieved: nobody has to wait for it
        self._waiting.clear()

    async def ready(self, *, timeout: float) -> None:
        """Waits until the runtime in the worker is up, and learns its adapter.

        Raises:
            LaneFailed: it cannot come up, for example because there is no adapter.
            BrowserLost, StepTimedOut
        """
        frame = await self._bounded(asyncio.shield(self._hello), step="opening a lane", timeout=timeout)
        if "error" in frame.header:
            raise LaneFailed(frame.header["error"])
        if not frame.header["isolated"]:
            raise LaneFailed("the page is not cross-origin isolated, so lanes would silently have one thread")
        self.adapter = str(frame.header["name"])
        self.software_adapter = bool(frame.header["software"])

    async def load(self, model_name: str, url: str, *, timeout: float) -> float:
        """Fetches a model and builds its session; gives back the milliseconds it took."""
        frame, _ = await self._request({"op": "load", "model": model_name, "url": url}, {}, timeout=timeout)
        self.model_names.add(model_name)
        return float(frame.header["load_ms"])

    async def load_parts(
        self,
        model_name: str,
        urls: Mapping[str, str],
        recipe: Mapping[str, Any],
        *,
        on_device: bool = True,
        timeout: float,
    ) -> float:
        """Fetches the encoder and the decoder of a model; gives back the milliseconds it took.

        With `on_device` what one leaves for the other stays in the GPU's memory, where the lane has a GPU.
        """
        header = {"op": "load", "model": model_name, "parts": dict(urls), "recipe": recipe, "on_device": on_device}
        frame, _ = await self._request(header, {}, timeout=timeout)
        self.model_names.add(model_name)
        return float(frame.header["load_ms"])

    async def put(self, slot: str, tensors: Mapping[str, Array], *, timeout: float) -> None:
        """Keeps a set of inputs in the lane under a name, for runs to use."""
        await self._request({"op": "put", "slot": slot}, tensors, timeout=timeout)

    async def run(self, model_name: str, slot: str, *, fetch: bool, timeout: float) -> RunReply:
        """Runs a model on a set of inputs; outputs stay in the browser unless `fetch` is true."""
        header = {"op": "run", "model": model_name, "slot": slot, "fetch": fetch}
        frame, arrived_at = await self._request(header, {}, timeout=timeout)
        return RunReply(float(frame.header["run_ms"]), arrived_at, frame.tensors)

    async def echo(self, tensors: Mapping[str, Array], *, timeout: float) -> dict[str, Array]:
        """Sends tensors there and back."""
        frame, _ = await self._request({"op": "echo"}, tensors, timeout=timeout)
        return frame.tensors

    async def _request(
        self, header: dict[str, Any], tensors: Mapping[str, Array], *, timeout: float
    ) -> tuple[Frame, float]:
        if self._lost is not None:
            raise self._lost
        if self._socket is None:
            raise BrowserLost("the lane never connected")
        number = next(self._numbers)
        waiting: asyncio.Future[tuple[Frame, float]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self.busy = True
        try:
            await self._bounded(
                self._socket.send_bytes(encode({**header, "id": number}, tensors)), step="sending", timeout=timeout
            )
            frame, arrived_at = await self._bounded(waiting, step=f"{header['op']} in a lane", timeout=timeout)
        except ConnectionError as error:
            raise self._lost or BrowserLost("a lane's connection broke") from error
        finally:
            self._waiting.pop(number, None)
        # Only an answer frees the lane: after a timeout or a cancellation the worker may still be computing.
        self.busy = False
        if "error" in frame.header:
            self.failed = True
            raise LaneFailed(frame.header["error"])
        return frame, arrived_at

    @property
    def spent(self) -> bool:
        """True when nobody should use the lane again: it is still at work for someone who left, or its
        runtime failed, which can leave its memory in any state."""
        return self.busy or self.failed

    @staticmethod
    async def _bounded(awaitable: Awaitable[T], *, step: str, timeout: float) -> T:
        try:
            async with asyncio.timeout(timeout):
                return await awaitable
        except TimeoutError as error:
            raise StepTimedOut(step, timeout) from error
