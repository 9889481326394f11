"""The processes of a browser: finding them, weighing them, ending them.

A browser's processes are those that descend from its main process, which carries a mark of ours on its
command line. Chromium's children do not survive their main process; the mark is how strays are found.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "--corun-pool="


def mark(pool_id: str, connection_id: str) -> str:
    """The command line argument that marks a browser as ours; browsers ignore it."""
    return f"{MARK}{pool_id}/{connection_id}"


def find_marked(argument: str) -> list[psutil.Process]:
    """Processes that have `argument`, or one that starts with it, on their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(word.startswith(argument) for word in process.cmdline()):
                found.append(process)
    return found


def find_main(pool_id: str, connection_id: str) -> psutil.Process | None:
    """The browser's main process: the marked one whose parent is not marked."""
    marked = find_marked(mark(pool_id, connection_id))
    identifiers = {process.pid for process in marked}
    for process in marked:
        with suppress(psutil.Error):
            if process.ppid() not in identifiers:
                return process
    return None


def tree(main: psutil.Process) -> list[psutil.Process]:
    """The process and everything that descends from it; empty when it is gone."""
    with suppress(psutil.Error):
        return [main, *main.children(recursive=True)]
    return []


def is_alive(process: psutil.Process) -> bool:
    """True while the process runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def proportional_set_size(process_ids: Iterable[int]) -> int:
    """Sum of the proportional set sizes in bytes, without file-backed pages; processes that are gone count nothing.

    Anonymous and shared memory hold what a plan uses: WebAssembly memory, heaps, compiled code, buffers. Pages of
    files (the browser's own code) are shared by all browsers and dropped by the kernel at will, so with them a
    browser would seem to shrink whenever another one starts or the machine is idle.
    """
    total = 0
    for process_id in process_ids:
        with suppress(OSError):
            for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    return total


def kill(processes: Iterable[psutil.Process]) -> None:
    """Ends processes at once. psutil checks that an id still means the same process."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
