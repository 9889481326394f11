"""What can befall a browser: its processes killed or frozen, one by one or all."""

from __future__ import annotations

import psutil

from corun.resource_pool.browser import processes
from corun.resource_pool.contract import BrowserConnection


def main_of(connection: BrowserConnection) -> list[psutil.Process]:
    """The main process."""
    return [connection.main_process]


def whole(connection: BrowserConnection) -> list[psutil.Process]:
    """Every process."""
    return processes.family(connection.main_process)


def renderers(connection: BrowserConnection) -> list[psutil.Process]:
    """Those that run pages: the largest is the one with the lanes, and the others are none that a test needs."""
    return [process for process in whole(connection) if {"--type=renderer", "tab"} & words(process)]


def gpu_process(connection: BrowserConnection) -> list[psutil.Process]:
    """The one that talks to the graphics device; Firefox has none here, its main process does it."""
    return [process for process in whole(connection) if "--type=gpu-process" in words(process)]


def words(process: psutil.Process) -> set[str]:
    """Of its command line."""
    try:
        return set(process.cmdline())
    except psutil.Error:
        return set()


def kill(targets: list[psutil.Process]) -> None:
    """SIGKILL."""
    assert targets
    processes.kill(targets)


def freeze(targets: list[psutil.Process]) -> None:
    """SIGSTOP."""
    assert targets
    for process in targets:
        process.suspend()
