"""Waiting until a browser has given back what it does not need."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from corun.resource_pool.browser.memory import until_steady
from corun.resource_pool.browser.scales import Scales


class Shrinking:
    """Scales of a browser whose size is 1,000 MB, and falls to a half so many seconds after the first weighing."""

    def __init__(self, *falls_after: float) -> None:
        self._falls_after = falls_after
        self._begin: float | None = None

    def follow(self) -> int:
        self._begin = self._begin or time.monotonic()
        passed = time.monotonic() - self._begin
        return int(1e9 / 2 ** sum(passed >= each for each in self._falls_after))


async def waited(scales: Shrinking, *, quiet: float, longest: float) -> float:
    begin = time.monotonic()
    await until_steady([cast("Scales", cast("Any", scales))], quiet_seconds=quiet, longest_seconds=longest)
    return time.monotonic() - begin


@pytest.mark.parametrize(("falls", "expected"), [((), 0.2), ((0.1,), 0.3), ((0.1, 0.25), 0.45), ((0.6,), 0.2)])
async def test_it_waits_until_nothing_was_given_back_for_a_while(falls: tuple[float, ...], expected: float) -> None:
    took = await waited(Shrinking(*falls), quiet=0.2, longest=5.0)
    assert expected - 0.01 <= took <= expected + 0.5


async def test_it_does_not_wait_for_ever() -> None:
    took = await waited(Shrinking(*(index * 0.05 for index in range(1, 200))), quiet=0.2, longest=0.5)
    assert 0.5 <= took <= 1.0
