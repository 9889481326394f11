"""What programs other than some browsers use of the cores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import psutil
import pytest

from corun.resource_pool.browser import other_programs, processes
from corun.resource_pool.browser.other_programs import OtherPrograms
from tests.load import BUSY, program

MAIN = cast("psutil.Process", cast("Any", object()))


@pytest.fixture
def using(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Makes a browser use so many cores from now on, and everything together so many."""

    def use(browser: float, all_together: float) -> None:
        begin = time.monotonic()
        monkeypatch.setattr(processes, "processor_seconds", lambda _main: browser * (time.monotonic() - begin))
        monkeypatch.setattr(other_programs, "_busy_seconds", lambda: all_together * (time.monotonic() - begin))

    return use


@pytest.fixture
def busy_process() -> Iterator[psutil.Process]:
    """A session of its own that uses one core."""
    with program(BUSY) as process:
        yield process


@pytest.mark.parametrize(("browser", "all_together"), [(1.5, 1.5), (0.5, 1.4), (0.0, 2.0), (1.0, 0.9)])
async def test_what_the_browsers_do_not_use_is_of_others(
    using: Callable[[float, float], None], browser: float, all_together: float
) -> None:
    using(browser, all_together)
    async with OtherPrograms([MAIN]) as others:
        await asyncio.sleep(0.6)
    assert others.cores == pytest.approx(max(0.0, all_together - browser), abs=0.1)


async def test_what_ends_too_soon_has_no_figure(using: Callable[[float, float], None]) -> None:
    using(1.0, 2.0)
    async with OtherPrograms([MAIN]) as others:
        await asyncio.sleep(0.15)
    assert others.cores is None


async def test_a_kernel_that_does_not_tell_leaves_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden() -> float:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(other_programs, "_busy_seconds", hidden)
    async with OtherPrograms([]) as others:
        await asyncio.sleep(0.4)
    assert others.cores is None


async def test_a_failure_inside_is_passed_on_and_watching_ends(using: Callable[[float, float], None]) -> None:
    using(1.0, 2.0)
    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        async with OtherPrograms([MAIN]):
            raise KeyError("inside")
    assert asyncio.all_tasks() == before


async def test_a_real_program_is_counted_unless_it_is_the_browser(busy_process: psutil.Process) -> None:
    async with OtherPrograms([]) as everything, OtherPrograms([busy_process]) as others:
        await asyncio.sleep(1.5)
    assert everything.cores is not None
    assert others.cores is not None
    # Beside other work of the machine it does not get a whole core.
    assert everything.cores - others.cores > 0.2
