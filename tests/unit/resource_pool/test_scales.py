"""The size of a browser is followed between two weighings as exactly as when it is weighed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from corun.resource_pool.browser import scales as scales_module
from corun.resource_pool.browser.memory import MemorySampler
from corun.resource_pool.browser.scales import Scales

MB = 1_000_000
# Holds as many bytes as it was told last, in a child of its own beside it when told "child".
PROGRAM = """
import os, sys
held = {}
for line in sys.stdin:
    what, size = line.split()
    if what == "child":
        if os.fork() == 0:
            held["child"] = b"x" * int(size)
            print("done", flush=True)
            os.close(0)
            __import__("signal").pause()
    else:
        held[what] = b"x" * int(size)
        print("done", flush=True)
"""


class Holder:
    """A process that holds memory as told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.scales = Scales(psutil.Process(process.pid))

    def hold(self, what: str, size: int) -> None:
        """Returns when it is held."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {size}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@pytest.fixture
def holder() -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            held = Holder(process)
            held.hold("nothing", 0)
            yield held
        finally:
            for each in psutil.Process(process.pid).children():
                each.kill()
            process.kill()


@pytest.mark.parametrize("size", [MB, 40 * MB], ids=["little", "much"])
def test_what_a_process_gains_and_loses_is_followed(holder: Holder, size: int) -> None:
    before = holder.scales.weigh()
    holder.hold("own", size)
    assert holder.scales.follow() - before == pytest.approx(size, abs=MB / 4)
    assert holder.scales.follow() == pytest.approx(holder.scales.weigh(), abs=MB / 4)
    holder.hold("own", 0)
    assert holder.scales.follow() == pytest.approx(before, abs=MB / 4)


def test_a_process_that_is_born_meanwhile_counts_and_what_it_shares_counts_once(holder: Holder) -> None:
    holder.hold("own", 40 * MB)
    before = holder.scales.weigh()
    holder.hold("child", 20 * MB)
    assert holder.scales.follow() - before == pytest.approx(20 * MB, abs=3 * MB)


def test_following_walks_no_page_tables_where_little_changed(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    holder.scales.weigh()
    read: list[str] = []
    counted = scales_module._counted

    def noted(process_id: int, file: str, fields: tuple[bytes, ...]) -> int:
        read.append(file)
        return counted(process_id, file, fields)

    monkeypatch.setattr(scales_module, "_counted", noted)
    holder.hold("own", MB)
    holder.scales.follow()
    assert read == ["status"]


def test_what_is_counted_without_weighing_is_what_is_followed_or_nothing(holder: Holder) -> None:
    assert holder.scales.counted() is None  # nothing was weighed yet
    holder.scales.weigh()
    holder.hold("own", MB)
    assert holder.scales.counted() == pytest.approx(holder.scales.follow(), abs=MB / 4)
    holder.hold("own", 40 * MB)
    assert holder.scales.counted() is None
    holder.scales.follow()
    assert holder.scales.counted() is not None
    holder.hold("child", 20 * MB)
    assert holder.scales.counted() is None


async def test_what_grew_before_a_plan_is_weighed_before_it_begins_and_is_no_sample_of_it(holder: Holder) -> None:
    idle = holder.scales.weigh()
    holder.hold("own", 40 * MB)
    async with MemorySampler([holder.scales], interval_seconds=10) as sampler:
        assert holder.scales.counted() is not None
        holder.hold("own", 20 * MB)
    peak = sampler.peak_over(idle / MB)
    assert peak.peak_mb == pytest.approx(20, abs=0.25)
    assert peak.sample_count == 1
