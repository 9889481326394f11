"""The browser's end of a lane without a browser: onnxruntime on the CPU behind the same socket and messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.resource_pool.browser.frames import Array, Frame, FrameReader, encode

ADAPTERS = {
    "wasm": {"name": "CPU (fake)", "software": False},
    "webgpu": {"name": "GPU (fake)", "software": True},
    "webnn": {"name": "CPU (fake WebNN)", "software": False},
}
_STORAGE = {"wasm": "cpu", "webgpu": "webgpu", "webnn": "webnn"}
_RUNTIME_BYTES = 16_777_216

Reply = tuple[dict[str, Any], dict[str, Array]]


class _Refused(Exception):
    """A request that cannot be met, and harms nothing."""


@dataclass(slots=True)
class Behaviour:
    """How lanes behave, from now on.

    Attributes:
        run_seconds: What every run takes at least.
        answers: Lanes hang while it is not set.
        missing: Platforms that do not come up, by engine.
        hanging: Platforms whose lanes come up and never answer.
    """

    run_seconds: float = 0.0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    missing: dict[str, set[str]] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.answers.set()


class FakeWorker:
    """Answers one request after another, as `lane.ts` does.

    Args:
        url: Where the pool waits for the lane's socket.
        platform: wasm, webgpu or webnn; what it says it runs on.
        behaviour: How it behaves.
        problem: Why it does not come up; empty: it does.
    """

    def __init__(self, url: str, platform: str, behaviour: Behaviour, *, problem: str = "") -> None:
        self._url = url
        self._platform = platform
        self._behaviour = behaviour
        self._problem = problem
        self._http: aiohttp.ClientSession
        self._socket: aiohttp.ClientWebSocketResponse
        self._sessions: dict[str, InferenceSession] = {}
        self._slots: dict[str, dict[str, Array]] = {}
        self._shared: dict[str, Array] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of the tensors that lie here."""
        held = [*self._shared.values(), *(array for slot in self._slots.values() for array in slot.values())]
        return sum(array.nbytes for array in held)

    async def serve(self) -> None:
        """Runs until it is cancelled or the pool hangs up."""
        async with (
            aiohttp.ClientSession() as self._http,
            self._http.ws_connect(self._url, max_msg_size=0, compress=0) as self._socket,
        ):
            if self._problem:
                await self._send({"id": 0, "error": self._problem})
                return
            await self._send({"id": 0, "isolated": True, **ADAPTERS[self._platform]})
            reader = FrameReader()
            async for message in self._socket:
                frame = reader.feed(message.data)
                if frame is not None:
                    await self._answer(frame)

    async def lose_device(self) -> None:
        """Says that the GPU is gone."""
        await self._send({"id": 0, "event": "device_lost", "reason": "unknown: a test wanted it"})

    async def _send(self, header: Mapping[str, Any], tensors: Mapping[str, Array] | None = None) -> None:
        for message in encode(header, tensors):
            await self._socket.send_bytes(bytes(message))

    async def _answer(self, frame: Frame) -> None:
        await self._behaviour.answers.wait()
        if self._platform in self._behaviour.hanging:
            return
        try:
            header, tensors = await self._carry_out(frame.header, frame.tensors)
        except Exception as error:  # a runtime raises what it likes
            header, tensors = {"error": str(error), "refused": isinstance(error, _Refused)}, {}
        about = {"id": frame.header["id"], "wasm_bytes": _RUNTIME_BYTES + self.held_bytes}
        await self._send({**header, **about}, tensors)

    async def _carry_out(self, header: dict[str, Any], tensors: dict[str, Array]) -> Reply:
        match header["op"]:
            case "load":
                return await self._load(header["model"], header["url"])
            case "put":
                self._slots[header["slot"]] = tensors
            case "drop":
                self._slots.pop(header["slot"], None)
            case "run":
                return await self._run(header, tensors)
            case "share":
                return {"kept": [self._keep(name, array) for name, array in tensors.items()]}, {}
            case "read":
                return {}, {header["name"]: self._shared[header["name"]]}
            case "free":
                self._shared.pop(header["name"], None)
            case "echo":
                return {}, tensors
        return {}, {}

    async def _load(self, name: str, url: str) -> Reply:
        begin = time.perf_counter()
        async with self._http.get(url) as response:
            response.raise_for_status()
            content = await response.read()
        self._sessions[name] = await asyncio.to_thread(InferenceSession, content, providers=["CPUExecutionProvider"])
        return {"load_ms": (time.perf_counter() - begin) * 1000}, {}

    async def _run(self, header: dict[str, Any], received: dict[str, Array]) -> Reply:
        session, feeds = self._session(header["model"]), self._feeds(header, received)
        names = [output.name for output in session.get_outputs()]
        begin = time.perf_counter()
        await asyncio.sleep(self._behaviour.run_seconds)
        values = await asyncio.to_thread(session.run, names, feeds)
        outputs = {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
        run_ms = (time.perf_counter() - begin) * 1000
        keep = header.get("keep", {})
        kept = [self._keep(tensor, outputs.pop(name)) for name, tensor in keep.items()]
        fetched = outputs if header["fetch"] else {}
        moved = sum(array.nbytes for array in (*received.values(), *fetched.values()))
        zero_copy = bool(header.get("shared")) and self._platform != "wasm"
        return {"run_ms": run_ms, "kept": kept, "zero_copy": zero_copy, "boundary_bytes": moved}, fetched

    def _session(self, name: str) -> InferenceSession:
        if name not in self._sessions:
            raise _Refused(f"model {name} is not loaded in this lane")
        return self._sessions[name]

    def _feeds(self, header: dict[str, Any], received: dict[str, Array]) -> dict[str, Array]:
        slot, shared = header.get("slot"), header.get("shared", {})
        if slot is not None and slot not in self._slots:
            raise _Refused(f"no inputs in slot {slot}")
        missing = [tensor for tensor in shared.values() if tensor not in self._shared]
        if missing:
            raise _Refused(f"no tensor is shared as {missing[0]} in this lane")
        in_slot = self._slots[slot] if slot is not None else {}
        return {**in_slot, **received, **{name: self._shared[tensor] for name, tensor in shared.items()}}

    def _keep(self, name: str, array: Array) -> dict[str, Any]:
        if name in self._shared:
            raise ValueError(f"a tensor is already shared as {name}")
        self._shared[name] = array
        return {
            "name": name,
            "type": array.dtype.name,
            "shape": list(array.shape),
            "bytes": array.nbytes,
            "storage": _STORAGE[self._platform],
        }
