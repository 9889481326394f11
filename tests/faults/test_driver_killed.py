"""The driver of the browsers is killed: every browser is rebuilt, and neither processes nor files stay behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from corun.resource_pool.browser import scratch
from tests.faults import damage
from tests.faults.fault_models import BUSY
from tests.faults.faulty_pool import FaultyPool, plan_request, real
from tests.until import until

NOTICED = 3.0
# Both browsers at once.
REBUILT = 10.0


def drivers() -> list[psutil.Process]:
    """Those of this process."""
    return [child for child in psutil.Process().children() if "run-driver" in damage.words(child)]


def files_of(pool: FaultyPool) -> list[Path]:
    """Folders and profiles of the pool's browsers."""
    folders = [scratch for each in pool.connections if (scratch := real(each)._scratch) is not None]
    return [*folders, *((folder / "profile").readlink() for folder in folders)]


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in the middle of a plan"])
async def test_after_the_driver_was_killed_every_browser_is_rebuilt_and_nothing_stays(
    pool: FaultyPool, engine: str, busy: bool
) -> None:
    await pool.status()
    before, files, driver_count = pool.connections, files_of(pool), len(drivers())
    assert all(file.is_dir() for file in files)
    killed = False
    if not busy:
        damage.kill(drivers())
    else:
        async for event in pool.stub.ExecutePlan(plan_request(engine, model=BUSY, iterations=150), timeout=180):
            if event.WhichOneof("event") == "run_finished" and not killed:
                killed = True
                damage.kill(drivers())
        assert event.measured.retry_count == 1
    noticed = await until(lambda: not set(before) & set(pool.connections), pool.bound(NOTICED))
    rebuilt = await pool.ready_or_leased(2, within_seconds=pool.bound(REBUILT))
    print(f"{engine}: noticed after {noticed:.2f} s, rebuilt {rebuilt:.2f} s later")
    await until(lambda: not pool.strays(), pool.bound(2))
    await until(lambda: not any(file.exists() for file in files), pool.bound(2))
    assert len(drivers()) <= driver_count


async def test_closing_a_browser_removes_its_files(pool: FaultyPool, engine: str) -> None:
    files = files_of(pool)
    for connection in pool.connections:
        connection.suspect = True
    await pool.start_both(engine)  # takes them, and gives them back
    await until(lambda: not any(file.exists() for file in files), pool.bound(5))
    await asyncio.sleep(0)
    assert scratch.folders(real(pool.connections[0])._pool_id)
