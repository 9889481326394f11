"""Notices a browser that stopped answering: a question to its page each second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from playwright.async_api import Page

_BEAT_SECONDS = 1.0
_MISSED_BEATS = 5


async def watch_pulse(page: Page, lose: Callable[[str], None]) -> None:
    """Returns when the page cannot be reached, or did not answer five times in a row, after telling `lose` so.

    Beats are counted, not seconds: a pool that was itself held up for a while must not take it out on its browsers.
    """
    problem = await _problem(page)
    while not problem:
        await asyncio.sleep(_BEAT_SECONDS)
        problem = await _problem(page)
    lose(problem)


async def _problem(page: Page) -> str:
    """Why the page does not answer; empty when it does."""
    beat = asyncio.ensure_future(page.evaluate("0"))
    beat.add_done_callback(_failure)
    try:
        for _ in range(_MISSED_BEATS):
            await asyncio.wait({beat}, timeout=_BEAT_SECONDS)
            if beat.done():
                return _failure(beat)
        return f"it did not answer for {_MISSED_BEATS * _BEAT_SECONDS:g} s"
    finally:
        beat.cancel()


def _failure(beat: asyncio.Future[object]) -> str:
    if beat.cancelled():
        return "its page cannot be reached any more"
    error = beat.exception()
    return f"its page cannot be reached: {error}" if error is not None else ""
