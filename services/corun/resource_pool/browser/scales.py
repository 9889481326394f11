"""The size of a browser: weighed, or followed from its last weighing by what the kernel counts."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

import psutil

from corun.resource_pool.browser import processes

# What is gained or lost since a process was weighed counts whole, though others may share it. So it is weighed again
# before that can matter.
_FOLLOWED_BYTES = 2 * 1024 * 1024

# Of a file in /proc, what holds the number behind a field's name, and what holds all of it.
_FIELD_BYTES = 32
_FILE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A process when it was weighed: its proportional set size, and what it had resident, in bytes."""

    size: int
    resident: int


class Scales:
    """Weighs one browser. Its methods block; threads may share it.

    A size is the sum of the proportional set sizes of the browser's processes, without file-backed pages. Anonymous
    and shared memory hold what a plan uses: WebAssembly memory, heaps, compiled code, buffers. Pages of files (the
    browser's own code) are shared by all browsers and dropped by the kernel at will, so with them a browser would seem
    to shrink whenever another one starts or the machine is idle.

    Args:
        main: The browser's main process.
    """

    def __init__(self, main: psutil.Process) -> None:
        self._main = main
        self._weighed: dict[int, _Weighed] = {}

    def weigh(self) -> int:
        """The size now, in bytes. The kernel walks the page tables for it, some 30 ms for a whole browser."""
        self._weighed.clear()
        return self.follow()

    def counted(self) -> int | None:
        """The same as `follow` gives, in some 0.3 ms that need no thread; None where a process has to be weighed."""
        return self._size(weighing=False)

    def follow(self) -> int:
        """The size now, in bytes, in about 1 ms: only processes of which much changed are weighed, or all when one was
        born or has ended, for they share what they inherit.

        What the others have gained or lost since is counted by the kernel at all times.
        """
        size = self._size(weighing=True)
        assert size is not None
        return size

    def _size(self, *, weighing: bool) -> int | None:
        # Whoever weighs a browser has it open, so its number is still its own.
        members = processes.in_session(self._main.pid)
        if self._weighed.keys() != set(members):
            if not weighing:
                return None
            self._weighed.clear()
        total = 0
        for process_id in members:
            with suppress(OSError):
                resident = _counted(process_id, "status", (b"RssAnon:", b"RssShmem:"))
                weighed = self._weighed.get(process_id)
                if weighed is None or abs(resident - weighed.resident) > _FOLLOWED_BYTES:
                    if not weighing:
                        return None
                    size = _counted(process_id, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))
                    weighed = self._weighed[process_id] = _Weighed(size, resident)
                total += weighed.size + resident - weighed.resident
        return total


def _counted(process_id: int, file: str, fields: tuple[bytes, ...]) -> int:
    """Sum of some fields of a process in bytes; those of one that waits to be reaped are gone and count as 0."""
    # By the plainest calls: between any two the thread may have to wait for the loop's.
    opened = os.open(f"/proc/{process_id}/{file}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(opened, _FILE_BYTES)
    finally:
        os.close(opened)
    kilobytes = 0
    for field in fields:
        _, _, rest = text.partition(field)
        kilobytes += int(rest[:_FIELD_BYTES].split(maxsplit=1)[0]) if rest else 0
    return kilobytes * 1024
