"""One real pool an engine for all faults that leave it usable, which is what they prove."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.fault_models import write_fault_models
from tests.faults.faulty_pool import FaultyPool, faulty_pool


@pytest.fixture(scope="session")
def fault_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models that misbehave."""
    return write_fault_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session", params=["chromium", "chromium-shell", "firefox"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that works here; tests of one engine come together, so that they share its pool."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
async def pool_of_engine(engine: str, fault_models: Path) -> AsyncIterator[FaultyPool]:
    """Two browsers of the engine at most."""
    async with faulty_pool(fault_models, run_timeout_seconds=20) as pool:
        await pool.learn_pace(engine)
        yield pool


@pytest.fixture
async def pool(pool_of_engine: FaultyPool, engine: str) -> AsyncIterator[FaultyPool]:
    """The same, with both browsers up before; afterwards it must be as good as before."""
    await pool_of_engine.start_both(engine)
    yield pool_of_engine
    await pool_of_engine.assert_unharmed(engine)
