"""Killed browsers and killed services leave clear ends and no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.command import COMMAND, corun, corun_up
from tests.e2e.tiny_models import isolated_environment

WORKLOAD = ["--models", "tiny-text:4,tiny-vision:2", "--platform", "wasm"]


def browsers_of(process_id: int) -> list[psutil.Process]:
    """The main processes of the browsers below a process, once there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [
            child
            for child in psutil.Process(process_id).children(recursive=True)
            if any(word.startswith("--corun-pool=") for word in arguments(child))
        ]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("no browser came up")


def arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_browser_killed_during_a_run_costs_no_result(tmp_path: Path) -> None:
    environment = isolated_environment(tmp_path)
    command = [*COMMAND, "run", *WORKLOAD, "--iterations", "200", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        for browser in browsers_of(process.pid):
            browser.kill()
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert '"success": true' in out
    assert corun("run", *WORKLOAD, "--json", environment=environment, folder=tmp_path).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_services_that_end_leave_no_browser_behind(tmp_path: Path, number: signal.Signals) -> None:
    environment = isolated_environment(tmp_path)
    with corun_up(environment=environment, folder=tmp_path) as (target, process):
        ended = corun("run", *WORKLOAD, "--json", "--target", target, environment=environment, folder=tmp_path)
        assert ended.code == 0
        family = psutil.Process(process.pid).children(recursive=True)
        assert browsers_of(process.pid)
        os.kill(process.pid, number)
        process.wait(20)
        _, alive = psutil.wait_procs(family, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
