"""The pool's end of a lane: requests over a WebSocket, answered in order, each with a time limit."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser.frames import Array, Frame, FrameReader, encode

_UNASKED_ID = 0

T = TypeVar("T")

# A model's inputs: sizes outermost first, a name for a free one.
Dimensions = Mapping[str, Sequence[int | str]]


class LaneFailed(Exception):
    """The lane refused a request; the message is its own."""


@dataclass(frozen=True, slots=True)
class KeptTensor:
    """A shared tensor as it lies in a lane; `storage_type` is cpu, webgpu or webnn."""

    name: str
    data_type: str
    shape: tuple[int, ...]
    size_bytes: int
    storage_type: str


@dataclass(frozen=True, slots=True)
class RunReply:
    """How a run went.

    Attributes:
        run_time_ms: Inside the lane, until outputs were read back or the device was done.
        arrived_at: When the reply was here (time.perf_counter).
        outputs: By name, if they were asked for.
        boundary_bytes: Bytes of tensors that crossed the page boundary for it, in and out.
        kept: Outputs that stayed.
        zero_copy: True when every shared input was read where it lay on the device.
    """

    run_time_ms: float
    arrived_at: float
    outputs: dict[str, Array]
    boundary_bytes: int = 0
    kept: tuple[KeptTensor, ...] = ()
    zero_copy: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that was not answered yet; `epoch` is that of its lease, None where it was made outside of any."""

    epoch: int | None
    reply: asyncio.Future[tuple[Frame, float]]


class Lane:
    """A worker in a browser's page with its own runtime and thread count. Runs in it never overlap.

    Args:
        lane_id: Unique in the life of the pool.
        platform: wasm, webgpu or webnn.
        width: Threads.

    Attributes:
        epoch: Number of the lease that requests belong to now.
        model_names: Models loaded in it; `model_bytes` is the size of their files.
        tensor_names: Shared tensors that lie in it.
        wasm_bytes: Size of its WebAssembly memory when it last answered.
        device_lost: True when it went because its GPU device did.
        on_lost: Called once, when it is lost.
        on_late_result: Called when an answer came that nobody is entitled to any more.
        slots: Names of the inputs that lie in it; `warm_slots` are those that were run.
    """

    def __init__(self, *, lane_id: str, platform: str, width: int) -> None:
        self.lane_id = lane_id
        self.platform = platform
        self.width = width
        self.epoch = 0
        self.model_names: set[str] = set()
        self.model_bytes = 0
        self.tensor_names: set[str] = set()
        self.adapter = ""
        self.software_adapter = False
        self.failed = False
        self.wasm_bytes = 0
        self.device_lost = False
        self.on_lost: Callable[[Lane], None] = lambda _lane: None
        self.on_late_result: Callable[[], None] = lambda: None
        self.slots: set[str] = set()
        self.warm_slots: set[str] = set()
        self._socket: web.WebSocketResponse | None = None
        self._sending = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._hello: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, _Waiting] = {}
        self._given_up = False
        self._lost: BrowserLost | None = None

    @property
    def lost_cause(self) -> str:
        """Why it is gone; empty while it is there."""
        return self._lost.cause if self._lost is not None else ""

    @property
    def spent(self) -> bool:
        """True when nobody should use the lane again: it is gone, someone left before the answer and nobody knows
        what it did for him, or its runtime failed, which can leave its memory in any state."""
        return self._lost is not None or self._given_up or self.failed

    def begin_epoch(self, epoch: int) -> None:
        """From now on requests belong to another lease; whoever still waits from before gets nothing."""
        self.epoch = epoch
        for waiting in self._waiting.values():
            if waiting.epoch not in {None, epoch}:
                _fail(waiting.reply, BrowserLost("the lease ended"))

    async def attach(self, socket: web.WebSocketResponse) -> None:
        """Reads the worker's socket until it closes. Called once, by the server that accepted it."""
        self._socket = socket
        reader = FrameReader()
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    continue
                frame = reader.feed(message.data)
                if frame is not None:
                    self._receive(frame, time.perf_counter())
        except ValueError as error:
            self.lose(f"a lane sent nonsense: {error}")
        finally:
            self.lose("a lane's connection closed")

    def _receive(self, frame: Frame, arrived_at: float) -> None:
        number = frame.header.get("id")
        self.wasm_bytes = int(frame.header.get("wasm_bytes", self.wasm_bytes))
        if frame.header.get("event") == "device_lost":
            self.device_lost = True
            self.lose(f"the GPU device was lost ({frame.header.get('reason')})")
        elif number == _UNASKED_ID:
            if not self._hello.done():
                self._hello.set_result(frame)
        elif isinstance(number, int):
            waiting = self._waiting.pop(number, None)
            if waiting is not None and not waiting.reply.done():
                waiting.reply.set_result((frame, arrived_at))
            elif waiting is None or waiting.epoch is not None:
                self.on_late_result()

    def lose(self, cause: str) -> None:
        """Fails everything that waits for this lane, now and later. Idempotent."""
        if self._lost is not None:
            return
        self._lost = BrowserLost(cause)
        _fail(self._hello, self._lost)
        for waiting in self._waiting.values():
            _fail(waiting.reply, self._lost)
        self._waiting.clear()
        self.on_lost(self)

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

    async def load(self, model_name: str, url: str, dimensions: Dimensions, *, timeout: float) -> float:
        """Fetches a model and builds its session; gives the milliseconds it took.

        Args:
            model_name: Its name in the lane.
            url: Of its file.
            dimensions: Of its inputs: on webnn a session is built for every shape.
            timeout: Seconds.
        """
        header = {"op": "load", "model": model_name, "url": url, "dimensions": dimensions}
        frame, _ = await self._request(header, {}, timeout=timeout)
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

    async def drop(self, slot: str, *, timeout: float) -> None:
        """Forgets a set of inputs."""
        await self._request({"op": "drop", "slot": slot}, {}, timeout=timeout)

    async def run(
        self,
        model_name: str,
        slot: str | None = None,
        *,
        tensors: Mapping[str, Array] | None = None,
        shared: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        fetch: bool,
        timeout: float,
    ) -> RunReply:
        """Runs a model.

        Args:
            model_name: Which.
            slot: Name of inputs that were put into the lane.
            tensors: Inputs that come along.
            shared: Names of shared tensors, by input.
            keep: Names to share outputs under, by output.
            fetch: Bring the other outputs back; else they are let go of in the browser.
            timeout: Seconds.

        Raises:
            LaneFailed, BrowserLost, StepTimedOut
        """
        header: dict[str, Any] = {"op": "run", "model": model_name, "fetch": fetch}
        header |= {name: dict(value) for name, value in (("shared", shared), ("keep", keep)) if value}
        if slot is not None:
            header["slot"] = slot
        frame, arrived_at = await self._request(header, tensors or {}, timeout=timeout)
        return RunReply(
            run_time_ms=float(frame.header["run_ms"]),
            arrived_at=arrived_at,
            outputs=frame.tensors,
            boundary_bytes=int(frame.header["boundary_bytes"]),
            kept=tuple(map(_kept, frame.header["kept"])),
            zero_copy=bool(frame.header["zero_copy"]),
        )

    async def share(self, name: str, array: Array, *, timeout: float) -> KeptTensor:
        """Brings a tensor into the memory of the lane's device, for runs to read under its name."""
        frame, _ = await self._request({"op": "share"}, {name: array}, timeout=timeout)
        return _kept(frame.header["kept"][0])

    async def read(self, name: str, *, timeout: float) -> Array:
        """The elements of a shared tensor, also for those who do not lease the lane."""
        frame, _ = await self._request({"op": "read", "name": name}, {}, timeout=timeout, leased=False)
        return frame.tensors[name]

    async def free(self, name: str, *, timeout: float) -> None:
        """Lets go of a shared tensor, also for those who do not lease the lane. Idempotent."""
        await self._request({"op": "free", "name": name}, {}, timeout=timeout, leased=False)

    async def echo(self, tensors: Mapping[str, Array], *, timeout: float) -> dict[str, Array]:
        """Sends tensors there and back."""
        frame, _ = await self._request({"op": "echo"}, tensors, timeout=timeout)
        return frame.tensors

    async def _request(
        self, header: dict[str, Any], tensors: Mapping[str, Array], *, timeout: float, leased: bool = True
    ) -> tuple[Frame, float]:
        if self._lost is not None:
            raise self._lost
        number = next(self._numbers)
        waiting = _Waiting(self.epoch if leased else None, asyncio.get_running_loop().create_future())
        self._waiting[number] = waiting
        answered = False
        try:
            message = {**header, "id": number}
            exchange = self._exchange(message, tensors, waiting.reply)
            frame, arrived_at = await self._bounded(exchange, step=f"{header['op']} in a lane", timeout=timeout)
            answered = True
        except ConnectionError as error:
            raise self._lost or BrowserLost("a lane's connection broke") from error
        finally:
            # After a timeout or a cancellation the worker may still be computing, or have done what nobody noted.
            self._given_up = self._given_up or (leased and not answered)
            waiting.reply.cancel()  # an answer that is still to come finds that nobody waits
        if "error" in frame.header:
            self.failed = self.failed or not frame.header.get("refused", False)
            raise LaneFailed(frame.header["error"])
        return frame, arrived_at

    async def _exchange(
        self, header: dict[str, Any], tensors: Mapping[str, Array], reply: asyncio.Future[tuple[Frame, float]]
    ) -> tuple[Frame, float]:
        await self._send(header, tensors)
        return await reply

    async def _send(self, header: dict[str, Any], tensors: Mapping[str, Array]) -> None:
        if self._socket is None:
            raise BrowserLost("the lane never connected")
        async with self._sending:
            try:
                for message in encode(header, tensors):
                    await self._socket.send_bytes(message)  # type: ignore[arg-type]  # views are sent as they are
            except asyncio.CancelledError:
                self.lose("a message to a lane was cut short")
                raise

    @staticmethod
    async def _bounded(awaitable: Awaitable[T], *, step: str, timeout: float) -> T:
        try:
            async with asyncio.timeout(timeout):
                return await awaitable
        except TimeoutError as error:
            raise StepTimedOut(step, timeout) from error


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # retrieved: nobody has to wait for it


def _kept(entry: Mapping[str, Any]) -> KeptTensor:
    return KeptTensor(
        name=str(entry["name"]),
        data_type=str(entry["type"]),
        shape=tuple(entry["shape"]),
        size_bytes=int(entry["bytes"]),
        storage_type=str(entry["storage"]),
    )
