"""What counts as a failure of a platform when a graphics process crashes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from corun.errors import BrowserLost
from corun.resource_pool.browser.frames import Frame
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.models.platform_files import PlatformFiles
from corun.resource_pool.preparation import LeasedLane, Preparation, StepLimits
from tests.fakes.browserless_connections import BrowserlessConnection, BrowserlessStarter, fake_pool, need

LANES = 3
LOST_DEVICE = Frame({"id": 0, "event": "device_lost", "reason": "it crashed"}, {})


@pytest.mark.parametrize("device", [True, False], ids=["device", "socket"])
async def test_a_crash_that_takes_several_lanes_counts_once_and_a_closed_socket_is_no_fault_of_the_platform(
    tmp_path: Path, device: bool
) -> None:
    pool = fake_pool(BrowserlessStarter())
    limits = StepLimits(open_seconds=1, load_seconds=1, run_seconds=1, transfer_seconds=1)
    preparation = Preparation(PageServer(), PlatformFiles(tmp_path), pool.fleet.health, limits)
    async with pool.lease((need(),), purpose="a test", exclusive=False) as lease:
        (connection,) = lease.connections
        assert isinstance(connection, BrowserlessConnection)
        for _ in range(LANES):
            lane = connection._new_lane("webgpu", 1)
            if device:
                lane._receive(LOST_DEVICE, time.perf_counter())
            else:
                lane.lose("a lane's connection closed")
            with pytest.raises(BrowserLost):
                await preparation.run(LeasedLane(lease, connection, lane), "model")
    await pool.close()
    breaker = pool.fleet.health._breakers.get((connection.engine.name, "webgpu"))
    assert (breaker.failure_count if breaker else 0) == int(device)
    assert not pool.fleet.health.problem(connection.engine.name, "webgpu")
