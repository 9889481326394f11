"""What can be asked of a lane: loading models, running them, keeping tensors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.worker_link import LaneFailed, WorkerLink

# A model's inputs: sizes outermost first, a name for a free one.
Dimensions = Mapping[str, Sequence[int | str]]


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


class Lane(WorkerLink):
    """A worker in a browser's page with its own runtime and thread count. Runs in it never overlap.

    Args:
        lane_id: Unique in the life of the pool.
        platform: wasm, webgpu or webnn.
        width: Threads.

    Attributes:
        model_names: Models loaded in it; `model_bytes` is the size of their files.
        tensor_names: Shared tensors that lie in it.
        opened_at: When it was opened, seconds of the monotonic clock.
        slots: Names of the inputs that lie in it; `warm_slots` are those that were run.
        shapes: Those that sessions were built for, where a session is of one shape.
        settled: True once its browser was seen idle after everything that was compiled for it.
    """

    def __init__(self, *, lane_id: str, platform: str, width: int) -> None:
        super().__init__()
        self.lane_id = lane_id
        self.platform = platform
        self.width = width
        self.opened_at = time.monotonic()
        self.model_names: set[str] = set()
        self.model_bytes = 0
        self.tensor_names: set[str] = set()
        self.adapter = ""
        self.software_adapter = False
        self.slots: set[str] = set()
        self.warm_slots: set[str] = set()
        self.shapes: set[str] = set()
        self.settled = False

    async def ready(self, *, timeout: float) -> None:
        """Waits until the runtime in the worker is up, and learns its adapter.

        Raises:
            LaneFailed: it cannot come up, for example because there is no adapter.
            BrowserLost, StepTimedOut
        """
        greeting = await self.greeting(timeout=timeout)
        if not greeting["isolated"]:
            raise LaneFailed("the page is not cross-origin isolated, so lanes would silently have one thread")
        self.adapter = str(greeting["name"])
        self.software_adapter = bool(greeting["software"])

    async def load(self, model_name: str, url: str, dimensions: Dimensions, *, timeout: float) -> float:
        """Fetches a model and builds its session; gives the milliseconds it took.

        Args:
            model_name: Its name in the lane.
            url: Of its file.
            dimensions: Of its inputs: on webnn a session is built for every shape.
            timeout: Seconds.
        """
        header = {"op": "load", "model": model_name, "url": url, "dimensions": dimensions}
        frame, _ = await self.request(header, {}, timeout=timeout)
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
        frame, _ = await self.request(header, {}, timeout=timeout)
        self.model_names.add(model_name)
        return float(frame.header["load_ms"])

    async def put(self, slot: str, tensors: Mapping[str, Array], *, timeout: float) -> None:
        """Keeps a set of inputs in the lane under a name, for runs to use."""
        await self.request({"op": "put", "slot": slot}, tensors, timeout=timeout)

    async def drop(self, slot: str, *, timeout: float) -> None:
        """Forgets a set of inputs."""
        await self.request({"op": "drop", "slot": slot}, {}, timeout=timeout)

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
        frame, arrived_at = await self.request(header, tensors or {}, timeout=timeout)
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
        frame, _ = await self.request({"op": "share"}, {name: array}, timeout=timeout)
        return _kept(frame.header["kept"][0])

    async def read(self, name: str, *, timeout: float) -> Array:
        """The elements of a shared tensor, also for those who do not lease the lane."""
        frame, _ = await self.request({"op": "read", "name": name}, {}, timeout=timeout, leased=False)
        return frame.tensors[name]

    async def free(self, name: str, *, timeout: float) -> None:
        """Lets go of a shared tensor, also for those who do not lease the lane. Idempotent."""
        await self.request({"op": "free", "name": name}, {}, timeout=timeout, leased=False)

    async def echo(self, tensors: Mapping[str, Array], *, timeout: float) -> dict[str, Array]:
        """Sends tensors there and back."""
        frame, _ = await self.request({"op": "echo"}, tensors, timeout=timeout)
        return frame.tensors


def _kept(entry: Mapping[str, Any]) -> KeptTensor:
    return KeptTensor(
        name=str(entry["name"]),
        data_type=str(entry["type"]),
        shape=tuple(entry["shape"]),
        size_bytes=int(entry["bytes"]),
        storage_type=str(entry["storage"]),
    )
