"""The processes of a browser: finding them and ending them.

A browser's main process carries a mark of ours on its command line and leads a session of its own, for so does
Playwright start it. Everything that belongs to the browser is in that session, also when its parent is gone.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

MARK = "--corun-pool="

_DEATH_SECONDS = 0.1


def mark(pool_id: str, connection_id: str) -> str:
    """The command line argument that marks a browser as ours; browsers ignore it."""
    return f"{MARK}{pool_id}/{connection_id}/"


def find_marked(argument: str) -> list[psutil.Process]:
    """Processes that have `argument`, or one that starts with it, on their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(word.startswith(argument) for word in process.cmdline()):
                found.append(process)
    return found


def find_main(argument: str) -> psutil.Process | None:
    """The main process of the browser with this mark: the one that leads its session."""
    return next((process for process in find_marked(argument) if session_of(process.pid) == process.pid), None)


def session_of(process_id: int) -> int:
    """The session that a process belongs to; 0 when it is gone."""
    with suppress(OSError):
        return os.getsid(process_id)
    return 0


def family(main: psutil.Process) -> list[psutil.Process]:
    """Every living process of the session that `main` leads or led."""
    found = []
    for process_id in members(main):
        with suppress(psutil.Error):
            found.append(psutil.Process(process_id))
    return [process for process in found if is_alive(process)]


def members(main: psutil.Process) -> list[int]:
    """Ids of the processes of the session that `main` leads or led, also of those that only wait to be reaped."""
    if psutil.pid_exists(main.pid) and not main.is_running():
        return []  # its number is another process's by now, so nobody is left: a session keeps its number taken
    return in_session(main.pid)


def in_session(number: int) -> list[int]:
    """Ids of the processes of a session, also of those that only wait to be reaped."""
    return [process_id for process_id in psutil.pids() if session_of(process_id) == number]


def processor_seconds(main: psutil.Process) -> float:
    """Processor time that the living processes of the session that `main` leads have used, seconds."""
    seconds = 0.0
    for process in family(main):
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def is_alive(process: psutil.Process) -> bool:
    """True while the process runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class DeathNotice:
    """Whether a process has ended, by a descriptor that the kernel marks then: looking costs some 10 us, and what
    /proc says of it ten times as much. Where there is no such descriptor /proc is read after all.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._descriptor: int | None = None
        self._poll = select.poll()
        with suppress(AttributeError, OSError):
            self._descriptor = os.pidfd_open(process.pid)
            self._poll.register(self._descriptor, select.POLLIN)

    @property
    def given(self) -> bool:
        """True once it has ended."""
        if self._descriptor is None:
            return not is_alive(self._process)
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Lets go of the descriptor. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Ends processes at once, frozen ones too. psutil checks that an id still means the same process."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def end(main: psutil.Process, *, within_seconds: float) -> list[psutil.Process]:
    """Kills a browser's family, those too that are born meanwhile; gives who is left after that time."""
    deadline = time.monotonic() + within_seconds
    while living := family(main):
        kill(living)
        psutil.wait_procs(living, timeout=_DEATH_SECONDS)
        if time.monotonic() > deadline:
            return living
    return []
