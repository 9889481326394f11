"""Waiting until browsers have nothing left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import psutil
import pytest

from corun.resource_pool.browser import idleness, processes
from corun.resource_pool.browser.idleness import until_idle
from tests.load import program
from tests.until import until

MAIN = cast("psutil.Process", cast("Any", object()))
BUSY_FOR_A_SECOND = "import time\nwhile time.process_time() < 1: pass\ntime.sleep(60)"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Makes every browser use so many cores for so many seconds from now on, and none later."""

    def use(cores: float, seconds: float) -> None:
        begin = time.monotonic()

        def used_so_far(_main: psutil.Process) -> float:
            return cores * min(seconds, time.monotonic() - begin)

        monkeypatch.setattr(processes, "processor_seconds", used_so_far)

    monkeypatch.setattr(idleness, "_LOOK_SECONDS", 0.05)
    return use


@pytest.fixture
def busy_process() -> Iterator[psutil.Process]:
    """A session of its own that uses one core for a second."""
    with program(BUSY_FOR_A_SECOND) as process:
        yield process


async def waited(longest: float = 10.0) -> tuple[bool, float]:
    begin = time.monotonic()
    idle = await until_idle([MAIN], longest_seconds=longest)
    return idle, time.monotonic() - begin


async def test_a_browser_that_is_idle_is_waited_for_twice_a_look(used: Callable[[float, float], None]) -> None:
    used(0.0, 0.0)
    idle, took = await waited()
    assert idle
    assert 0.1 <= took < 1.0


@pytest.mark.parametrize("cores", [0.5, 1.0, 2.0])
async def test_it_waits_until_a_browser_has_done_its_work(used: Callable[[float, float], None], cores: float) -> None:
    used(cores, 0.6)
    idle, took = await waited()
    assert idle
    assert 0.6 <= took < 2.0


async def test_a_little_work_now_and_then_is_idle(used: Callable[[float, float], None]) -> None:
    used(0.1, 60.0)
    idle, took = await waited()
    assert idle
    assert took < 1.0


async def test_it_does_not_wait_for_ever(used: Callable[[float, float], None]) -> None:
    used(1.0, 60.0)
    idle, took = await waited(longest=0.4)
    assert not idle
    assert 0.4 <= took < 1.5


async def test_the_work_of_real_processes_is_counted(busy_process: psutil.Process) -> None:
    await until(lambda: processes.processor_seconds(busy_process) >= 0.9, within=60.0)  # counted in hundredths
