"""What programs other than some browsers use of the cores."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from corun.resource_pool.browser import processes

# When it is looked first, and how long between the first look and the next: what ends before pays nothing. Kernels
# count processor time in hundredths of a second, so a figure over less time would be worth nothing.
_FIRST_SECONDS, _PAUSE_SECONDS = 0.05, 0.25
# Further pauses grow with what was watched: the end that is not covered is at most a third.
_PAUSE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _Look:
    """Processor time that others have used so far, and when that was, seconds."""

    others: float
    moment: float


class OtherPrograms:
    """Watches how much of the cores is used outside of browsers while its context is open.

    What a hypervisor takes away counts as used.

    Args:
        mains: The browsers' main processes.
    """

    def __init__(self, mains: Sequence[psutil.Process]) -> None:
        self._mains = tuple(mains)
        self._watching: asyncio.Task[None] | None = None
        self._first: _Look | None = None
        self._last: _Look | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.cancel()  # a look that is under way ends by itself, and nobody waits for it
        await asyncio.wait([self._watching])

    @property
    def cores(self) -> float | None:
        """Cores that others used on average, at least 0; None where there was too little time to tell."""
        first, last = self._first, self._last
        if first is None or last is None:
            return None
        return max(0.0, (last.others - first.others) / (last.moment - first.moment))

    async def _watch(self) -> None:
        begin = time.monotonic()
        await asyncio.sleep(_FIRST_SECONDS)
        with suppress(OSError, psutil.Error):  # where the kernel does not tell there is no figure
            self._first = await asyncio.to_thread(self._look)
            while True:
                await asyncio.sleep(max(_PAUSE_SECONDS, _PAUSE_SHARE * (time.monotonic() - begin)))
                self._last = await asyncio.to_thread(self._look)

    def _look(self) -> _Look:
        own = sum(map(processes.processor_seconds, self._mains))
        return _Look(_busy_seconds() - own, time.monotonic())


def _busy_seconds() -> float:
    """Processor time used on the cores that this process may use, by anybody."""
    cores = psutil.cpu_times(percpu=True)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(cores))
    return sum(_busy(cores[number]) for number in allowed if number < len(cores))


def _busy(times: tuple[float, ...]) -> float:
    # Guests' time is in that of users already.
    unused = sum(getattr(times, field, 0.0) for field in ("idle", "iowait", "guest", "guest_nice"))
    return sum(times) - unused
