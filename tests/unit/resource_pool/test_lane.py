"""The pool's end of a lane, over a real socket: who gets which answer, and when a lane is of no use any more."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser.frames import Frame, encode
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.worker_link import LaneFailed
from tests.fakes.fake_worker import FakeWorker, working_lane

VALUES = np.arange(4, dtype=np.float32)
UNREADABLE: tuple[object, ...] = ("large", [], None, float("inf"))


async def given_up(lane: Lane, worker: FakeWorker) -> int:
    """Asks for a load and leaves before the answer; gives the number of the request."""
    task = asyncio.ensure_future(lane.load("model", "url", {}, timeout=5))
    request = await worker.request()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return int(request.header["id"])


async def test_a_lane_whose_caller_left_before_the_answer_is_spent_also_when_the_answer_comes() -> None:
    async with working_lane() as (lane, worker):
        late: list[None] = []
        lane.on_late_result = lambda: late.append(None)
        number = await given_up(lane, worker)
        assert lane.spent
        await worker.say({"id": number, "load_ms": 1.0})
        await asyncio.sleep(0.05)
        assert lane.spent
        assert len(late) == 1


async def test_a_lane_whose_caller_is_cancelled_in_the_moment_of_the_answer_is_spent() -> None:
    """The worker has done what was asked, and nobody has noted it."""
    async with working_lane() as (lane, worker):
        task = asyncio.ensure_future(lane.share("tensor", VALUES, timeout=5))
        request = await worker.request()
        lane._receive(Frame({"id": request.header["id"], "kept": []}, {}), 0.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lane.spent


async def test_a_step_that_takes_too_long_is_given_up_by_name_and_spends_the_lane() -> None:
    async with working_lane() as (lane, _):
        with pytest.raises(StepTimedOut, match=r"run in a lane did not finish within 0\.05 s"):
            await lane.run("model", fetch=False, timeout=0.05)
        assert lane.spent


async def test_each_of_several_requests_has_its_own_time() -> None:
    async with working_lane() as (lane, worker):
        ended: list[float] = []

        async def take_too_long(limit: float) -> None:
            begin = time.monotonic()
            with pytest.raises(StepTimedOut, match=rf"run in a lane did not finish within {limit} s"):
                await lane.run("model", fetch=False, timeout=limit)
            assert time.monotonic() - begin >= limit
            ended.append(limit)

        in_time = asyncio.ensure_future(lane.run("model", fetch=False, timeout=5))
        request = await worker.request()
        await asyncio.gather(*map(take_too_long, (0.3, 0.1, 0.2)))
        assert ended == [0.1, 0.2, 0.3]
        await worker.answer(request, run_ms=7.0, kept=[], zero_copy=False, boundary_bytes=0)
        assert (await in_time).run_time_ms == 7.0


async def test_requests_end_in_their_time_when_nobody_reads_them_and_are_whole_when_somebody_does() -> None:
    """More than the machine holds back for a socket."""
    async with working_lane() as (lane, worker):
        sent = [{name: np.full(3_000_000, number, np.uint8) for name in "abcd"} for number in range(2)]
        puts = (lane.put(str(number), tensors, timeout=0.1) for number, tensors in enumerate(sent))
        for outcome in await asyncio.gather(*puts, return_exceptions=True):
            assert isinstance(outcome, StepTimedOut)
        for number, tensors in enumerate(sent):
            request = await worker.request()
            assert request.header["slot"] == str(number)
            assert all(np.array_equal(request.tensors[name], tensor) for name, tensor in tensors.items())


async def test_answers_of_an_ended_lease_go_to_nobody_and_are_counted() -> None:
    async with working_lane() as (lane, worker):
        late: list[None] = []
        lane.on_late_result = lambda: late.append(None)
        lane.begin_epoch(1)
        task = asyncio.ensure_future(lane.run("model", fetch=False, timeout=5))
        request = await worker.request()
        lane.begin_epoch(2)
        with pytest.raises(BrowserLost, match="the lease ended"):
            await task
        assert lane.spent
        await worker.answer(request, run_ms=1.0)
        await asyncio.sleep(0.05)
        assert len(late) == 1


async def test_reading_a_shared_tensor_outlives_the_lease_of_another() -> None:
    async with working_lane() as (lane, worker):
        task = asyncio.ensure_future(lane.read("tensor", timeout=5))
        request = await worker.request()
        lane.begin_epoch(1)
        await worker.answer(request, error="there is none")
        with pytest.raises(LaneFailed, match="there is none"):
            await task


async def test_who_leaves_while_a_shared_tensor_is_read_for_him_does_not_spend_the_lane_of_others() -> None:
    async with working_lane() as (lane, worker):
        late: list[None] = []
        lane.on_late_result = lambda: late.append(None)
        task = asyncio.ensure_future(lane.read("tensor", timeout=5))
        request = await worker.request()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await worker.answer(request)
        await asyncio.sleep(0.05)
        assert not lane.spent
        assert late == []


async def test_a_lost_device_fails_what_waits_and_what_comes_after_and_is_told_once() -> None:
    async with working_lane() as (lane, worker):
        told: list[str] = []
        lane.on_lost = lambda: told.append(lane.lost_cause)
        task = asyncio.ensure_future(lane.run("model", fetch=False, timeout=5))
        await worker.request()
        await worker.say({"id": 0, "event": "device_lost", "reason": "it fell off"})
        for work in (task, lane.run("model", fetch=False, timeout=5)):
            with pytest.raises(BrowserLost, match="it fell off"):
                await work
        await worker.socket.close()
        await asyncio.sleep(0.05)
        assert told == ["the GPU device was lost (it fell off)"]


@pytest.mark.parametrize(
    "message",
    [
        b"\xff" * 64,
        *(bytes(encode({"id": 1, "wasm_bytes": size})[0]) for size in UNREADABLE),
    ],
)
async def test_a_worker_that_talks_nonsense_is_not_listened_to_any_longer(message: bytes) -> None:
    async with working_lane() as (lane, worker):
        await worker.socket.send_bytes(message)
        await asyncio.sleep(0.05)
        assert "nonsense" in lane.lost_cause
