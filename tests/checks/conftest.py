"""One browser an engine and platform for all checks that do no harm to it, and a fresh lane for each check."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.contract import BrowserConnection
from tests.checks.small_models import HEAVY_WIDTH, write_models
from tests.checks.subjects import FAKE, INSTALLED, SUBJECTS, Array, Machine, Subject, machine


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_models(tmp_path_factory.mktemp("small-models"))


@pytest.fixture(scope="session", params=SUBJECTS, ids=str)
def subject(request: pytest.FixtureRequest) -> Subject:
    return request.param  # type: ignore[no-any-return]  # params are subjects


@pytest.fixture(scope="session")
async def started(subject: Subject, models: dict[str, Path]) -> AsyncIterator[tuple[Machine, BrowserConnection]]:
    async with machine(subject.engine, models) as made:
        connection = await made.open()
        try:
            yield made, connection
        finally:
            await connection.close()


@pytest.fixture
def here(started: tuple[Machine, BrowserConnection]) -> Machine:
    return started[0]


@pytest.fixture
def connection(started: tuple[Machine, BrowserConnection]) -> BrowserConnection:
    return started[1]


@pytest.fixture
async def lane(subject: Subject, connection: BrowserConnection) -> AsyncIterator[Lane]:
    """A lane of one thread that is up. A platform that the machine does not have is no failure, but WebAssembly is."""
    try:
        opened = await connection.open_lane(platform=subject.platform, width=1)
    except LaneFailed as error:
        if subject.platform == "wasm":
            raise
        pytest.skip(f"{subject.engine} has no {subject.platform} here: {error}")
    yield opened
    await connection.close_lane(opened.lane_id)


@pytest.fixture(params=[FAKE, *(engine.name for engine in INSTALLED)])
async def own_machine(request: pytest.FixtureRequest, models: dict[str, Path]) -> AsyncIterator[Machine]:
    """For checks that end the browser."""
    async with machine(request.param, models) as made:
        yield made


@pytest.fixture(scope="session")
def heavy() -> Array:
    """The input of a run that takes a while."""
    return np.random.default_rng(5).normal(0, 1, (16, HEAVY_WIDTH)).astype(np.float32)


@pytest.fixture(scope="session")
def big() -> Array:
    """4 MB."""
    return np.random.default_rng(6).integers(0, 256, 4_000_000, np.uint8)
