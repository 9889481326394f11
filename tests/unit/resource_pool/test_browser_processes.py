"""Processes of browsers are found, ended and cleaned up after, whatever became of their parents."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from corun.resource_pool.browser import processes, scratch
from corun.resource_pool.browser.reaper import sweep

SHORT, LONG = "c1", "c10"


@contextmanager
def pretended_browser(pool_id: str, connection_id: str = SHORT, *arguments: str) -> Iterator[psutil.Process]:
    """A shell with the mark that leads a session and has a child, as browsers do."""
    child = "sleep 60 & wait"
    command = ["sh", "-c", child, "sh", *arguments, processes.mark(pool_id, connection_id)]
    with subprocess.Popen(command, start_new_session=True) as process:
        main = psutil.Process(process.pid)
        try:
            while process.poll() is None and len(processes.family(main)) < 2:
                time.sleep(0.01)
            yield main
        finally:
            processes.end(main, within_seconds=2)


@pytest.fixture
def pool_id() -> str:
    return uuid.uuid4().hex


def test_a_child_that_outlives_its_parent_still_belongs_to_the_browser_and_is_ended(pool_id: str) -> None:
    with pretended_browser(pool_id) as main:
        (child,) = [each for each in processes.family(main) if each != main]
        child.suspend()
        main.kill()
        psutil.wait_procs([main], timeout=2)
        assert processes.family(main) == [child]
        assert processes.end(main, within_seconds=2) == []
        assert not processes.is_alive(child)


def test_a_browser_is_not_taken_for_another_whose_number_begins_with_its_own(pool_id: str) -> None:
    with pretended_browser(pool_id, LONG) as main:
        assert processes.find_main(processes.mark(pool_id, SHORT)) is None
        assert processes.find_main(processes.mark(pool_id, LONG)) == main


def test_sweeping_ends_every_browser_of_the_pool_and_no_other_and_removes_their_files(
    pool_id: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    (profile / "cache").mkdir(parents=True)
    other = uuid.uuid4().hex
    with (
        pretended_browser(pool_id, SHORT, f"--user-data-dir={profile}") as main,
        pretended_browser(pool_id, LONG),
        pretended_browser(other) as stranger,
    ):
        folder = scratch.make_folder(pool_id, SHORT)
        scratch.note_profile(folder, main)
        sweep(pool_id, watch_seconds=0.0)
        assert processes.find_marked(f"{processes.MARK}{pool_id}/") == []
        assert processes.is_alive(stranger)
    assert not folder.exists()
    assert not profile.exists()


def test_the_reaper_ends_browsers_that_appear_just_after_its_pool_was_killed(pool_id: str) -> None:
    """As when the driver was about to start one."""
    reaper = [sys.executable, "-m", "corun.resource_pool.browser.reaper", pool_id]
    with subprocess.Popen(reaper, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()  # all that a killed pool says
        time.sleep(0.8)
        with pretended_browser(pool_id) as main:
            psutil.wait_procs([main], timeout=3)
            assert not processes.is_alive(main)
        assert process.wait(5) == 0


def test_firefox_names_its_profile_in_a_word_of_its_own(pool_id: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.mkdir()
    with pretended_browser(pool_id, SHORT, "--profile", str(profile)) as main:
        folder = scratch.make_folder(pool_id, SHORT)
        scratch.note_profile(folder, main)
    scratch.remove(folder)
    assert not profile.exists()
