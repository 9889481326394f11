"""Whatever happens in whatever moment, the pool's books agree with its browsers afterwards and it goes on serving."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from corun.errors import BrowserLost, LeaseEnded, PoolFull, QueueDeadline, TensorLost
from corun.resource_pool.core.connection_state import ConnectionState
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.shared_tensors import SharedTensor
from corun.resource_pool.pool import Lease, Pool
from tests.fakes.browserless_connections import (
    BrowserlessConnection,
    BrowserlessStarter,
    fake_pool,
    need,
    settled,
    turns,
)

ONE = (need("chromium"),)
BOTH = (need("chromium"), need("firefox"))

# More turns than any single lease takes with fake browsers.
MOST_TURNS = 30

Work = Coroutine[None, None, None]


async def hold(pool: Pool, needs: tuple[ConnectionNeed, ...] = ONE, *, turn_count: int = 3) -> None:
    """Leases browsers for some turns, opens a lane in each, and leaves one that nobody should use again."""
    async with pool.lease(needs, purpose="a test", exclusive=False) as lease:
        for connection in lease.connections:
            assert isinstance(connection, BrowserlessConnection)
            lane = connection.add_lane()
            await turns(turn_count)
            lane.failed = True


@asynccontextmanager
async def pool_of(
    on_open: Callable[[BrowserlessConnection], None] = lambda _connection: None, **limits: float
) -> AsyncIterator[tuple[Pool, BrowserlessStarter]]:
    """A pool that must leave no browser behind, whatever was done to it, and nothing unexplained in the loop."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    starter = BrowserlessStarter(on_open)
    pool = fake_pool(starter, max_connections=2, **limits)
    try:
        yield pool, starter
        await settled(pool, starter)
        async with asyncio.timeout(2):
            await hold(pool, BOTH)
        await settled(pool, starter)
    finally:
        await pool.close()
        asyncio.get_running_loop().set_exception_handler(None)
    assert starter.survivors() == []
    assert complaints == []


async def cancel_after(turn: int, work: Work) -> BaseException | None:
    """Cancels work after so many turns; gives what it raised."""
    task = asyncio.ensure_future(work)
    await turns(turn)
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    return ended


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_caller_cancelled_while_its_browser_starts_holds_nothing(turn: int) -> None:
    async with pool_of() as (pool, _):
        await cancel_after(turn, hold(pool, BOTH))


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_caller_cancelled_in_a_warm_pool_holds_nothing(turn: int) -> None:
    async with pool_of() as (pool, _):
        await hold(pool, BOTH)
        await cancel_after(turn, hold(pool, BOTH))


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_caller_cancelled_while_another_gives_back_what_it_waits_for_holds_nothing(turn: int) -> None:
    async with pool_of() as (pool, _):
        first = asyncio.ensure_future(hold(pool, BOTH))
        await turns(3)
        await asyncio.gather(first, cancel_after(turn, hold(pool, BOTH)))


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_caller_cancelled_twice_holds_nothing(turn: int) -> None:
    async with pool_of() as (pool, _):
        task = asyncio.ensure_future(hold(pool, BOTH))
        await turns(turn)
        task.cancel()
        await turns(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_browser_lost_in_any_moment_of_a_lease_is_replaced(turn: int) -> None:
    async with pool_of() as (pool, starter):
        task = asyncio.ensure_future(hold(pool, BOTH))
        await turns(turn)
        for connection in starter.made[:1]:
            connection.lose("the test killed it")
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert ended is None or isinstance(ended, BrowserLost)


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_browser_lost_while_it_is_replaced_for_being_suspect_is_no_trouble(turn: int) -> None:
    async with pool_of() as (pool, starter):
        async with pool.lease(ONE, purpose="a test", exclusive=False) as lease:
            lease.connections[0].suspect = True
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(lose_after(turn, starter)))
        await turns(MOST_TURNS)


async def lose_after(turn: int, starter: BrowserlessStarter) -> None:
    await turns(turn)
    for connection in starter.made:
        connection.lose("the test killed it")


@pytest.mark.parametrize("turn", range(MOST_TURNS))
async def test_a_pool_closed_in_any_moment_leaves_no_browser_and_nobody_waiting(turn: int) -> None:
    starter = BrowserlessStarter()
    pool = fake_pool(starter)
    tasks = [asyncio.ensure_future(hold(pool, BOTH)) for _ in range(3)]
    await turns(turn)
    async with asyncio.timeout(2):
        await pool.close()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert starter.survivors() == []
    assert all(each is None or isinstance(each, BrowserLost) for each in ended)
    with pytest.raises(BrowserLost, match="the pool is closing"):
        async with asyncio.timeout(2):
            await hold(pool)


async def test_requests_for_several_browsers_at_once_get_all_or_wait_and_never_lock_each_other_out() -> None:
    async with pool_of() as (pool, starter):
        async with asyncio.timeout(2):
            await asyncio.gather(*(hold(pool, needs) for needs in (BOTH, BOTH[::-1], ONE, BOTH, ONE, BOTH[::-1])))
        assert len(starter.made) == 2


async def test_a_browser_that_does_not_start_answers_the_one_who_asked_and_takes_no_place() -> None:
    def fail_once(connection: BrowserlessConnection) -> None:
        if connection.connection_id == "c1":
            raise BrowserLost("it did not start")

    async with pool_of(fail_once) as (pool, _):
        with pytest.raises(BrowserLost, match="it did not start"):
            await hold(pool)
        await hold(pool)


@pytest.mark.parametrize(("failures", "rebuilt"), [(1, True), (100, False)])
async def test_a_replacement_that_does_not_start_is_tried_again_but_not_for_ever(failures: int, rebuilt: bool) -> None:
    starts: list[BrowserlessConnection] = []

    def on_open(connection: BrowserlessConnection) -> None:
        starts.append(connection)
        if 1 < len(starts) <= 1 + failures:
            raise BrowserLost("the driver died under it")

    starter = BrowserlessStarter(on_open)
    pool = fake_pool(starter, max_connections=2)
    await hold(pool)
    starts[0].lose("the driver died")
    await turns(MOST_TURNS * 3)
    assert {each.state for each in pool.fleet.connections} == ({ConnectionState.READY} if rebuilt else set())
    assert 1 < len(starts) <= 4
    await pool.close()
    assert starter.survivors() == []


async def test_browsers_that_grew_while_they_worked_are_weighed_and_the_idle_one_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighed: list[str] = []

    async def weigh(connection: BrowserlessConnection) -> float:
        weighed.append(connection.connection_id)
        connection.memory_mb = 800.0
        return connection.memory_mb

    monkeypatch.setattr(BrowserlessConnection, "weigh", weigh)
    starter = BrowserlessStarter()
    pool = fake_pool(starter, max_connections=2, memory_budget_mb=1000)
    await hold(pool, BOTH)
    await turns(MOST_TURNS)
    assert sorted(weighed) == ["c1", "c2"]
    assert len(pool.fleet.connections) == 1
    for _ in range(5):
        await hold(pool, (need(pool.fleet.connections[0].engine.name),))
    assert len(weighed) == 2  # not after every lease
    await settled(pool, starter)
    await pool.close()


async def test_a_request_whose_deadline_passed_is_never_granted_whatever_becomes_free() -> None:
    async with pool_of() as (pool, _):
        async with pool.lease(BOTH, purpose="everything", exclusive=False) as held:
            with pytest.raises(QueueDeadline):
                async with pool.lease(ONE, purpose="late", exclusive=False, deadline=time.monotonic() + 0.02):
                    pass
        await turns(MOST_TURNS)
        assert sum(connection.lease_count for connection in held.connections) == len(BOTH)


async def test_who_waits_longer_than_the_pool_allows_is_told_when_to_come_back() -> None:
    async with pool_of(queue_timeout_seconds=0.02) as (pool, _):
        await hold(pool, BOTH)
        async with pool.lease(BOTH, purpose="everything", exclusive=False):
            with pytest.raises(PoolFull) as caught:
                await hold(pool)
        assert caught.value.retry_after_seconds is not None


async def test_a_holder_that_makes_no_progress_loses_its_browser_to_a_new_one() -> None:
    async with pool_of(lease_ttl_seconds=0.03) as (pool, _):
        await hold(pool)
        lease = await lose_by_doing_nothing(pool)
        assert lease.connections[0].state is ConnectionState.CLOSED
        assert pool.fleet.lost_count == 0  # the browser was not to blame
        assert not pool.fleet.health.problem("chromium", "wasm")


async def lose_by_doing_nothing(pool: Pool) -> Lease:
    async with pool.lease(ONE, purpose="sleeping", exclusive=False) as lease:
        await asyncio.sleep(0.06)
        with pytest.raises(LeaseEnded, match=r"its holder did nothing for 0\.03 s"):
            lease.renew(1.0)
    return lease


async def test_a_holder_that_gets_on_with_its_work_keeps_its_lease() -> None:
    async with (
        pool_of(lease_ttl_seconds=0.2) as (pool, _),
        pool.lease(ONE, purpose="working", exclusive=False) as lease,
    ):
        for _ in range(5):
            await asyncio.sleep(0.1)
            lease.renew(0.0)


@pytest.mark.parametrize("whole_browser", [False, True], ids=["lane", "browser"])
async def test_a_tensor_is_lost_in_the_moment_in_which_its_lane_is_though_nobody_uses_it(whole_browser: bool) -> None:
    async with pool_of() as (pool, starter):
        async with pool.lease(ONE, purpose="sharing", exclusive=False):
            lane = starter.made[0].add_lane(tensor="weights")
            pool.fleet.tensors.add(shared_tensor("weights", lane.lane_id))
        (starter.made[0] if whole_browser else lane).lose("the test took it away")
        assert pool.fleet.tensors.all() == []
        with pytest.raises(TensorLost, match="the test took it away"):
            pool.fleet.tensors.get("weights")
        assert starter.made[0].view().lanes == ()
        await turns(MOST_TURNS)
        ended = [argument for script, argument in starter.made[0].page_calls if "closeLane" in script]
        assert ended == ([] if whole_browser else [lane.lane_id])


async def test_a_browser_whose_page_went_with_its_lane_is_not_given_to_the_one_who_tries_again() -> None:
    """The socket of a lane closes before anybody says that the page crashed."""
    async with pool_of() as (pool, starter):
        await hold(pool)
        async with pool.lease(ONE, purpose="a test", exclusive=False) as lease:
            starter.made[0].page_crashed = True
            starter.made[0].add_lane().lose("a lane's connection closed")
        async with pool.lease(ONE, purpose="another try", exclusive=False) as again:
            assert again.connections != lease.connections


def shared_tensor(name: str, lane_id: str) -> SharedTensor:
    return SharedTensor(
        name=name,
        data_type="float32",
        shape=(4,),
        size_bytes=16,
        storage_type="cpu",
        owner="a test",
        connection_id="c1",
        lane_id=lane_id,
        producer_model="model",
    )


@pytest.mark.parametrize("seed", range(60))
async def test_a_storm_of_callers_cancellations_and_losses_ends_in_order(seed: int) -> None:
    dice = random.Random(seed)

    def fail_sometimes(_connection: BrowserlessConnection) -> None:
        if len(storm) < CALLERS and dice.random() < 0.15:
            raise BrowserLost("it did not start")

    storm: list[asyncio.Future[None]] = []
    async with pool_of(fail_sometimes) as (pool, starter):
        while len(storm) < CALLERS:
            needs = dice.choice([ONE, BOTH, BOTH[::-1], BOTH[1:], ONE * 2])
            storm.append(asyncio.ensure_future(hold(pool, needs, turn_count=dice.randrange(6))))
            await turns(dice.randrange(8))
            event = dice.random()
            if event < 0.3:
                dice.choice(storm).cancel()
            elif event < 0.6 and starter.made:
                dice.choice(starter.made).lose("the test killed it")
        async with asyncio.timeout(5):
            ended = await asyncio.gather(*storm, return_exceptions=True)
        assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError, BrowserLost}


CALLERS = 12
