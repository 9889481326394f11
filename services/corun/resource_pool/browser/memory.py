"""How much memory the browsers' processes use while a plan runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import psutil

from corun.resource_pool.browser import processes
from corun.resource_pool.core.measurement import MemoryPeak

MB = 1_000_000


class MemorySampler:
    """Samples the summed proportional set size of browsers' processes in a thread while its context is open.

    Reading it makes the kernel walk the page tables of each process, some 30 ms for a whole browser. So there
    is a pause before each sample, ten times as long as the last one took: watching costs at most a tenth of
    one core. A last sample is taken after the end, so that the shortest plan has one; what a run allocated in
    WebAssembly memory is still there then, for that never shrinks.

    Args:
        mains: Each browser's main process.
        interval_seconds: Shortest pause between two samples.
    """

    def __init__(self, mains: Sequence[psutil.Process], *, interval_seconds: float) -> None:
        self._mains = tuple(mains)
        self._interval_seconds = interval_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-sampler", daemon=True)
        self._peak_bytes = 0
        self._times: list[float] = []

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    def peak_over(self, idle_mb: float) -> MemoryPeak:
        """The peak over the browsers' idle size, never below 0. Call it when the context is closed."""
        count = len(self._times)
        interval = (self._times[-1] - self._times[0]) / (count - 1) if count > 1 else self._interval_seconds
        return MemoryPeak(max(0.0, self._peak_bytes / MB - idle_mb), count, interval * 1000)

    def _watch(self) -> None:
        pause = self._interval_seconds
        while not self._ended.wait(pause):
            pause = max(self._interval_seconds, 10 * self._sample())
        self._sample()

    def _sample(self) -> float:
        """Takes a sample; gives back the seconds it took."""
        begin = time.monotonic()
        size = sum(processes.family_size(main) for main in self._mains)
        self._peak_bytes = max(self._peak_bytes, size)
        self._times.append(begin)
        return time.monotonic() - begin
