"""Requests to a worker over its WebSocket: numbered, each answered once, each with a time limit and a lease."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser.frames import Array, Frame, FrameReader, encode

_UNASKED_ID = 0


class LaneFailed(Exception):
    """The lane refused a request; the message is its own."""


class _Waiting(NamedTuple):
    """A request that was not answered yet.

    Attributes:
        epoch: That of its lease, None where it was made outside of any.
        reply: Its answer.
        operation: What was asked for.
        timeout: Seconds that it may take.
        deadline: When they are over, in the event loop's time.
    """

    epoch: int | None
    reply: asyncio.Future[tuple[Frame, float]]
    operation: str
    timeout: float
    deadline: float


class WorkerLink:
    """The pool's end of a worker's socket.

    Attributes:
        epoch: Number of the lease that requests belong to now.
        failed: True once its runtime failed.
        wasm_bytes: Size of its WebAssembly memory when it last answered.
        device_lost: True when it went because its GPU device did.
        on_lost: Called once, when it is lost.
        on_late_result: Called when an answer came that nobody is entitled to any more.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.failed = False
        self.wasm_bytes = 0
        self.device_lost = False
        self.on_lost: Callable[[], None] = lambda: None
        self.on_late_result: Callable[[], None] = lambda: None
        self._socket: web.WebSocketResponse | None = None
        self._numbers = itertools.count(1)
        self._hello: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, _Waiting] = {}
        self._watch: asyncio.TimerHandle | None = None
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
        except (ValueError, TypeError, OverflowError) as error:
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
        if self._watch is not None:
            self._watch.cancel()
        self.on_lost()

    async def greeting(self, *, timeout: float) -> Mapping[str, Any]:
        """What the worker says when its runtime is up.

        Raises:
            LaneFailed: it cannot come up.
            BrowserLost, StepTimedOut
        """
        try:
            async with asyncio.timeout(timeout):
                frame = await asyncio.shield(self._hello)
        except TimeoutError as error:
            raise StepTimedOut("opening a lane", timeout) from error
        if "error" in frame.header:
            raise LaneFailed(frame.header["error"])
        return frame.header

    async def request(
        self, header: dict[str, Any], tensors: Mapping[str, Array], *, timeout: float, leased: bool = True
    ) -> tuple[Frame, float]:
        """The worker's answer, and when it was here (time.perf_counter).

        Args:
            header: What is asked, as JSON.
            tensors: What goes along.
            timeout: Seconds.
            leased: Whoever asks holds the lease; the answer is nobody's once another lease began.

        Raises:
            LaneFailed: the worker refused.
            BrowserLost, StepTimedOut
        """
        if self._lost is not None:
            raise self._lost
        if self._socket is None:
            raise BrowserLost("the lane never connected")
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[tuple[Frame, float]] = loop.create_future()
        deadline = loop.time() + timeout
        self._waiting[number] = _Waiting(self.epoch if leased else None, reply, header["op"], timeout, deadline)
        answered = False
        try:
            # The socket takes whatever it is given: nothing waits here, and no frame comes between another's messages.
            for message in encode({**header, "id": number}, tensors):
                await self._socket.send_bytes(message)  # type: ignore[arg-type]  # views are sent as they are
            self._watch_until(deadline)
            frame, arrived_at = await reply
            answered = True
        except ConnectionError as error:
            raise self._lost or BrowserLost("a lane's connection broke") from error
        finally:
            # After a timeout or a cancellation the worker may still be computing, or have done what nobody noted.
            self._given_up = self._given_up or (leased and not answered)
            reply.cancel()  # an answer that is still to come finds that nobody waits
        if "error" in frame.header:
            self.failed = self.failed or not frame.header.get("refused", False)
            raise LaneFailed(frame.header["error"])
        return frame, arrived_at

    def _watch_until(self, deadline: float) -> None:
        """One timer for all that waits: one for each would be a third of what a small request costs here."""
        if self._watch is not None:
            if self._watch.when() <= deadline:
                return
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_at(deadline, self._fail_overdue)

    def _fail_overdue(self) -> None:
        self._watch = None
        now = asyncio.get_running_loop().time()
        for waiting in self._waiting.values():
            if waiting.deadline <= now:
                _fail(waiting.reply, StepTimedOut(f"{waiting.operation} in a lane", waiting.timeout))
            elif not waiting.reply.done():
                self._watch_until(waiting.deadline)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # retrieved: nobody has to wait for it
