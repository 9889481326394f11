from __future__ import annotations

from collections.abc import Callable

import pytest

from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.workload import Environment, ModelConfig, Place, Platform, Workload


@pytest.fixture
def place() -> Place:
    return Place(Platform.WASM, "chromium")


@pytest.fixture
def two_cores(place: Place) -> Environment:
    return Environment(place, core_count=2)


@pytest.fixture
def bert() -> GraphFeatures:
    """BERT-base with a sequence of 128: 22 GFLOP and 435 MB of weights."""
    return GraphFeatures(22e9, 435_000_000, 120e6, 600, dynamic_batch=True)


@pytest.fixture
def workload() -> Callable[..., Workload]:
    def made(*models: tuple[str, int]) -> Workload:
        return Workload(tuple(ModelConfig(name, batch_size) for name, batch_size in models))

    return made


@pytest.fixture
def runs(place: Place) -> Callable[..., Lesson]:
    """A lesson of runs of one model, one a time given."""

    def made(name: str, *times_ms: float, batch: int = 1, width: int = 2, memory_mb: float | None = None) -> Lesson:
        return Lesson(place, tuple(Observation(name, batch, width, time_ms, memory_mb) for time_ms in times_ms))

    return made
