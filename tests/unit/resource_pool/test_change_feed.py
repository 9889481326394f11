"""What watchers are told of the pool."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from corun.resource_pool.change_feed import Change, ChangeFeed


async def test_a_watcher_has_the_state_at_once_and_then_every_change() -> None:
    feed = ChangeFeed()
    feed.note("before anybody watched")
    async with aclosing(feed.watch()) as changes:
        assert await anext(changes) == Change(1, ())
        feed.note("one")
        assert await anext(changes) == Change(2, ("one",))
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        feed.note("two")
        assert await waiting == Change(3, ("two",))


async def test_what_happened_while_a_watcher_was_busy_is_told_together_in_order() -> None:
    feed = ChangeFeed()
    async with aclosing(feed.watch()) as changes:
        await anext(changes)
        for word in "abc":
            feed.note(word)
        assert await anext(changes) == Change(3, ("a", "b", "c"))


async def test_a_watcher_that_falls_behind_misses_words_but_never_the_newest_state() -> None:
    feed = ChangeFeed()
    async with aclosing(feed.watch()) as changes:
        await anext(changes)
        for number in range(250):
            feed.note(str(number))
        change = await anext(changes)
    assert change.sequence == 250
    assert change.words == tuple(str(number) for number in range(150, 250))  # the last hundred are kept


async def test_a_slow_watcher_does_not_hold_up_another() -> None:
    feed = ChangeFeed()
    async with aclosing(feed.watch()) as slow, aclosing(feed.watch()) as quick:
        await anext(slow)
        await anext(quick)
        for number in range(3):
            feed.note(str(number))
            assert (await anext(quick)).words == (str(number),)
        assert (await anext(slow)).words == ("0", "1", "2")


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    feed = ChangeFeed()
    changes = feed.watch()
    await anext(changes)
    assert "1 watchers" in repr(feed)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert "0 watchers" in repr(feed)
