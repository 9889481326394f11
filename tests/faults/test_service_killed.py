"""The pool's process is killed with browsers of every kind at work: three seconds later there is none."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from corun.plumbing.channel import open_channel
from corun.resource_pool.browser import processes
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.browser.running import pool_process
from tests.faults.fault_models import ENDLESS, QUICK
from tests.faults.faulty_pool import infer_request

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

ENGINES = ("chromium", "chromium-shell", "firefox")
GONE = 3.0


async def connections_of(stub: ResourcePoolServiceAsyncStub) -> Sequence[messages.ConnectionStatus]:
    return (await stub.GetPoolStatus(messages.GetPoolStatusRequest())).connections


def all_at_work(connections: Sequence[messages.ConnectionStatus]) -> bool:
    """Whether every engine has a browser that is up, and the endless model is in one."""
    up = {each.engine for each in connections if each.process_id}
    loaded = {name for each in connections for lane in each.lanes for name in lane.model_names}
    return up == set(ENGINES) and ENDLESS in loaded


async def test_three_seconds_after_the_pool_was_killed_no_browser_of_any_kind_is_left(
    fault_models: Path, tmp_path: Path
) -> None:
    settings = {"models_folder": fault_models, "core_count": 2, "max_connections": 3}
    async with (
        pool_process(settings, environment={"TMPDIR": str(tmp_path)}, stderr=DEVNULL) as (pool, address),
        open_channel(address) as channel,
    ):
        stub = ResourcePoolServiceStub(channel)
        for engine in ENGINES:
            await stub.Infer(infer_request(engine, model=QUICK), timeout=120)
        busy = asyncio.ensure_future(stub.Infer(infer_request("chromium", model=ENDLESS), timeout=120))
        async with asyncio.timeout(60):  # on a busy machine a browser may have been replaced
            connections = await connections_of(stub)
            while not all_at_work(connections):
                await asyncio.sleep(0.1)
                connections = await connections_of(stub)
        families = [process for each in connections for process in processes.family(psutil.Process(each.process_id))]
        pool.kill()
        begin = time.monotonic()
        _, alive = await asyncio.to_thread(psutil.wait_procs, families, timeout=GONE)
        print(f"{len(families)} processes gone after {time.monotonic() - begin:.2f} s")
        assert [process for process in alive if processes.is_alive(process)] == []
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    await asyncio.sleep(GONE)  # the reaper watches a little longer, then it removes the files
    names = await asyncio.to_thread(os.listdir, tmp_path)
    # Under a path as long as a test's, Chromium keeps its socket in a folder of its own, which we do not know.
    assert [name for name in names if name.startswith(("corun-", "playwright"))] == []
