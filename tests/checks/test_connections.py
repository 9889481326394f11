"""What every connection must do."""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest

from corun.errors import BrowserLost
from corun.resource_pool.browser import processes
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.contract import BrowserConnection
from tests.checks.subjects import STEP_SECONDS, Array, Machine, Subject


def test_an_open_connection_has_a_process_a_version_and_a_size(connection: BrowserConnection) -> None:
    assert connection.version
    assert connection.process_id == connection.main_process.pid
    assert connection.main_process.is_running()
    assert connection.idle_memory_mb > 0
    assert connection.lost_cause is None


async def test_a_lane_that_is_up_names_its_adapter_and_says_whether_it_is_software(
    connection: BrowserConnection, lane: Lane, subject: Subject
) -> None:
    assert lane.adapter
    assert isinstance(lane.software_adapter, bool)
    assert (lane.platform, lane.width) == (subject.platform, 1)
    assert connection.lanes[lane.lane_id] is lane
    assert not lane.spent


async def test_the_view_shows_what_the_lanes_hold(connection: BrowserConnection, lane: Lane, here: Machine) -> None:
    await here.load(lane, "product")
    lane.tensor_names.add("shared")
    (seen,) = [each for each in connection.view().lanes if each.lane_id == lane.lane_id]
    assert (seen.platform, seen.width, seen.model_names, seen.pinned) == (
        lane.platform,
        lane.width,
        frozenset({"product"}),
        True,
    )


async def test_closing_a_lane_ends_it_tells_why_and_gives_its_memory_back(
    connection: BrowserConnection, lane: Lane, big: Array
) -> None:
    gone: list[tuple[str, str]] = []
    before, connection.on_lane_gone = connection.on_lane_gone, lambda *what: gone.append(what)
    try:
        await lane.share("big", big, timeout=STEP_SECONDS)
        full = await connection.weigh()
        await connection.close_lane(lane.lane_id, cause="the check is over")
        await connection.close_lane(lane.lane_id, cause="twice")
    finally:
        connection.on_lane_gone = before
    assert gone == [(lane.lane_id, "the check is over")]
    assert lane.lane_id not in connection.lanes
    with pytest.raises(BrowserLost, match="the check is over"):
        await lane.echo({}, timeout=STEP_SECONDS)
    # Browsers give memory back when they find the time.
    await until_smaller(connection, full - big.nbytes / 1e6 / 2)


async def until_smaller(connection: BrowserConnection, size_mb: float) -> None:
    async with asyncio.timeout(30):
        while await connection.weigh() > size_mb:  # noqa: ASYNC110  (the kernel tells nobody)
            await asyncio.sleep(0.5)


async def test_a_killed_browser_fails_everything_at_once_and_says_so_once(own_machine: Machine, heavy: Array) -> None:
    connection = await own_machine.open()
    told = asyncio.Event()
    times_told: list[BrowserConnection] = []

    def note(which: BrowserConnection) -> None:
        times_told.append(which)
        told.set()

    connection.on_lost = note
    family = processes.family(connection.main_process)
    try:
        lane = await connection.open_lane(platform="wasm", width=1)
        await own_machine.load(lane, "heavy")
        work = [
            asyncio.ensure_future(lane.run("heavy", tensors={"x": heavy}, fetch=True, timeout=STEP_SECONDS))
            for _ in range(20)
        ]
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        begin = time.monotonic()
        connection.main_process.kill()
        results = await asyncio.gather(*work, return_exceptions=True)
        assert time.monotonic() - begin < 5
        assert isinstance(results[-1], BrowserLost)
        assert lane.spent
        async with asyncio.timeout(5):
            await told.wait()
        assert connection.lost_cause
        with pytest.raises(BrowserLost):
            await connection.open_lane(platform="wasm", width=1)
        with pytest.raises(BrowserLost):
            await lane.echo({}, timeout=STEP_SECONDS)
        connection.lose("once more")
        assert times_told == [connection]
    finally:
        await connection.close()
    await all_gone(family)


async def test_a_connection_is_closed_with_its_lanes_and_leaves_no_process(own_machine: Machine) -> None:
    connection = await own_machine.open()
    gone: list[str] = []
    connection.on_lane_gone = lambda lane_id, _cause: gone.append(lane_id)
    lane = await connection.open_lane(platform="wasm", width=1)
    family = processes.family(connection.main_process)
    await connection.close()
    await connection.close()
    assert gone == [lane.lane_id]
    assert connection.lanes == {}
    with pytest.raises(BrowserLost):
        await lane.echo({}, timeout=STEP_SECONDS)
    await all_gone(family)


async def test_a_connection_that_was_never_opened_can_be_closed(own_machine: Machine) -> None:
    name = next(iter(own_machine.starter.engines))
    connection = own_machine.starter.connection(own_machine.starter.engines[name])
    await connection.close()
    assert connection.process_id == 0


async def all_gone(family: list[psutil.Process]) -> None:
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
