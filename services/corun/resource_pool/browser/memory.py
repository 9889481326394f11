"""How much memory the browsers' processes use while a plan runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from corun.resource_pool.browser.scales import Scales
from corun.resource_pool.core.measurement import MemoryPeak

MB = 1_000_000


class MemorySampler:
    """Samples the size of browsers while its context is open.

    There is a pause before each sample, ten times as long as the last one took: watching costs at most a tenth of one
    core. A last sample is taken after the end, so that the shortest plan has one; what a run allocated in WebAssembly
    memory is still there then, for that never shrinks.

    Args:
        scales: Of each browser.
        interval_seconds: Shortest pause between two samples.
    """

    def __init__(self, scales: Sequence[Scales], *, interval_seconds: float) -> None:
        self._scales = tuple(scales)
        self._interval_seconds = interval_seconds
        self._pause: asyncio.TimerHandle | None = None
        self._sampling: asyncio.Future[None] | None = None
        self._peak_bytes = 0
        self._times: list[float] = []

    async def __aenter__(self) -> Self:
        # What has changed since it was last weighed is weighed now: beside the plan, that would slow it down.
        if self._counted() is None:
            await asyncio.to_thread(self._followed)
        self._pause_for(self._interval_seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._pause = None
        begin = time.monotonic()
        size = self._counted()
        if size is not None:
            self._note(size, begin)
        else:
            await asyncio.shield(asyncio.to_thread(self._sample))
        if self._sampling is not None:
            await asyncio.shield(self._sampling)

    def peak_over(self, idle_mb: float) -> MemoryPeak:
        """The peak over the browsers' idle size, never below 0. Call it when the context is closed."""
        count = len(self._times)
        interval = (self._times[-1] - self._times[0]) / (count - 1) if count > 1 else self._interval_seconds
        return MemoryPeak(max(0.0, self._peak_bytes / MB - idle_mb), count, interval * 1000)

    def _pause_for(self, seconds: float) -> None:
        def end() -> None:
            self._sampling = asyncio.ensure_future(self._sample_and_go_on())

        self._pause = asyncio.get_running_loop().call_later(seconds, end)

    async def _sample_and_go_on(self) -> None:
        took = await asyncio.to_thread(self._sample)
        if self._pause is not None:  # the context is still open
            self._pause_for(max(self._interval_seconds, 10 * took))

    def _sample(self) -> float:
        """Takes a sample; gives back the seconds it took."""
        begin = time.monotonic()
        self._note(self._followed(), begin)
        return time.monotonic() - begin

    def _followed(self) -> int:
        return sum(each.follow() for each in self._scales)

    def _counted(self) -> int | None:
        sizes = [size for each in self._scales if (size := each.counted()) is not None]
        return sum(sizes) if len(sizes) == len(self._scales) else None

    def _note(self, size: int, begin: float) -> None:
        self._peak_bytes = max(self._peak_bytes, size)
        self._times.append(begin)
