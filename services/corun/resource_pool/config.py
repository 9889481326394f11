"""Settings of the resource pool, from the environment with the prefix CORUN_RESOURCE_POOL_."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from corun.plumbing.settings import Port, ServiceSettings, cache_folder
from corun.resource_pool.browser.engines import ENGINES


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def half_of_memory_mb() -> float:
    """Half of the machine's memory, megabytes."""
    return psutil.virtual_memory().total / 2 / 1_000_000


class Settings(ServiceSettings):
    """How many browsers there may be, where models live, and how long steps may take.

    `settle_seconds` is how old lanes must be before they are measured: a browser goes on compiling the runtime of new
    ones, which takes time and several times the memory that they need later. Then it is waited until the browser is
    idle. With 0 nothing is waited for.
    """

    model_config = SettingsConfigDict(env_prefix="CORUN_RESOURCE_POOL_")

    port: Port = 50053
    max_connections: Annotated[int, Field(ge=1, le=64)] = 4
    core_count: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=lambda: min(64, usable_cores()))
    models_folder: Path | None = None
    cache_folder: Path = Field(default_factory=cache_folder)
    queue_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_queued_count: Annotated[int, Field(ge=1, le=10_000)] = 256
    lease_ttl_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    memory_budget_mb: Annotated[float, Field(ge=100)] = Field(default_factory=half_of_memory_mb)
    recycle_after_runs: Annotated[int, Field(ge=1)] = 10_000
    recycle_above_mb: Annotated[float, Field(ge=500)] = 6_000.0
    shared_tensor_limit_mb: Annotated[float, Field(gt=0, le=100_000)] = 512.0
    prewarmed_engines: tuple[str, ...] = ()
    probe_at_start: bool = False
    open_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    load_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    run_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 600.0
    transfer_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    memory_interval_seconds: Annotated[float, Field(ge=0.01, le=10)] = 0.1
    settle_seconds: Annotated[float, Field(ge=0, le=60)] = 3.0

    @field_validator("prewarmed_engines")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in ENGINES]
        if unknown:
            raise ValueError(f"unknown engine {unknown[0]!r}; there are: {', '.join(ENGINES)}")
        return names
