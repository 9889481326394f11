"""The process that checks a model: its limits, its end, and nothing of it afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from corun.errors import ModelRefused
from corun.resource_pool.config import Settings
from corun.resource_pool.models.checking.limits import CheckLimits
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool
from tests.faults.hostile_graphs import heavy_graph, slow_graph
from tests.faults.trial import Trial, await_check, checks_of
from tests.unit.resource_pool.model_folders import write_tiny_bert

SLOW = slow_graph()


def write_slow(trial: Trial) -> Path:
    folder = trial.new_folder()
    (folder / "model.onnx").write_bytes(SLOW)
    return folder


class Waiting(threading.Thread):
    """Somebody who waits for a model."""

    def __init__(self, trial: Trial, name: str) -> None:
        super().__init__()
        self.problem = ""
        self._trial = trial
        self._name = name

    def run(self) -> None:
        try:
            self._trial.catalog.resolve(self._name)
        except ModelRefused as refused:
            self.problem = refused.problem


def test_a_check_that_takes_more_time_than_it_may_is_a_refusal_that_is_remembered(tmp_path: Path) -> None:
    trial = Trial(tmp_path, check_limits=CheckLimits(cpu_seconds=2))
    slow = write_slow(trial)
    assert "more than 3 s of processor time" in trial.refusal(slow)
    begin = time.monotonic()
    assert "more than 3 s of processor time" in trial.refusal(slow)
    assert time.monotonic() - begin < 2  # the limit is not spent again


def test_a_check_that_takes_more_memory_than_it_may_is_a_refusal(tmp_path: Path) -> None:
    trial = Trial(tmp_path, check_limits=CheckLimits(memory_bytes=400_000_000, memory_per_byte=0))
    assert "more than 400000000 bytes of memory" in trial.refusal_of(heavy_graph(100_000_000))


def test_a_check_that_takes_too_long_by_the_clock_is_ended_and_may_be_tried_again(tmp_path: Path) -> None:
    trial = Trial(tmp_path, check_limits=CheckLimits(wall_factor=0.05))
    slow = write_slow(trial)
    for _ in range(2):
        with pytest.raises(ModelRefused, match=r"took more than 1\.05 s"):
            trial.catalog.resolve(slow.name)
    assert checks_of(psutil.Process()) == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_check_that_crashes_is_a_refusal_that_names_the_signal(tmp_path: Path, number: signal.Signals) -> None:
    trial = Trial(tmp_path)
    waiting = Waiting(trial, write_slow(trial).name)
    waiting.start()
    await_check(psutil.Process()).send_signal(number)
    waiting.join(20)
    assert f"ended by {number.name}" in waiting.problem
    assert trial.catalog.resolve("good")


def test_a_check_has_its_limits_a_session_of_its_own_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    trial = Trial(tmp_path)
    waiting = Waiting(trial, write_slow(trial).name)
    waiting.start()
    check = await_check(psutil.Process())
    allowed = CheckLimits().allowance(len(SLOW))
    deadline = time.monotonic() + 20
    while check.rlimit(psutil.RLIMIT_CPU) != (allowed.cpu_seconds, allowed.cpu_seconds + 1):
        assert time.monotonic() < deadline
        time.sleep(0.01)  # it sets them when it has its modules, before it opens the file; this one last
    assert check.rlimit(psutil.RLIMIT_AS) == (allowed.memory_bytes, allowed.memory_bytes)
    assert check.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert check.rlimit(psutil.RLIMIT_FSIZE)[1] == 1_000_000
    assert check.rlimit(psutil.RLIMIT_NOFILE)[1] == 32
    assert os.getsid(check.pid) == check.pid
    assert "secret" not in check.environ().values()
    trial.catalog.close()
    waiting.join(20)


def test_a_catalog_that_closes_ends_the_check_and_lets_nobody_wait(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    queue = [Waiting(trial, write_slow(trial).name) for _ in range(2)]
    for waiting in queue:
        waiting.start()
    await_check(psutil.Process())
    trial.catalog.close()
    for waiting in queue:
        waiting.join(20)
    assert [waiting.problem for waiting in queue] == ["the pool is closing"] * 2
    assert checks_of(psutil.Process()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_that_ends_takes_its_check_with_it(tmp_path: Path, number: signal.Signals) -> None:
    trial = Trial(tmp_path)
    slow = write_slow(trial)
    environment = os.environ | {
        "CORUN_RESOURCE_POOL_PORT": "0",
        "CORUN_RESOURCE_POOL_MODELS_FOLDER": str(trial.folder),
        "CORUN_RESOURCE_POOL_CACHE_FOLDER": str(tmp_path / "cache"),
    }
    service = subprocess.Popen(
        [sys.executable, "-m", "corun.resource_pool"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert service.stdout is not None
        target = service.stdout.readline().split()[-1]
        command = [sys.executable, "-m", "corun.cli", "models", "--install", slow.name, "--target", target]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            check = await_check(psutil.Process(service.pid))
            service.send_signal(number)
            service.wait(15)
            client.wait(15)
        check.wait(5)
    finally:
        service.kill()
        service.communicate()


async def test_a_caller_who_leaves_costs_one_check_and_no_more(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    slow = write_slow(trial)
    async with serve_pool(Settings(models_folder=trial.folder, cache_folder=tmp_path / "cache")) as pool:
        call = pool.ListModels(messages.ListModelsRequest(names=[slow.name]))
        leaving = asyncio.ensure_future(call)
        await asyncio.to_thread(await_check, psutil.Process())
        leaving.cancel()
        assert (await pool.GetPoolStatus(messages.GetPoolStatusRequest())).lost_count == 0
    assert checks_of(psutil.Process()) == []


def test_files_that_change_while_they_are_read_are_refused_until_they_are_complete(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    folder = write_tiny_bert(trial.new_folder())
    waiting = Waiting(trial, folder.name)
    waiting.start()
    await_check(psutil.Process())
    write_tiny_bert(folder, seed=1)
    waiting.join(20)
    assert "changed while" in waiting.problem
    assert trial.catalog.resolve(folder.name)
