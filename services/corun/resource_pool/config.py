"""Settings of the resource pool, from the environment with the prefix CORUN_RESOURCE_POOL_."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from corun.plumbing.settings import Port, ServiceSettings, cache_folder


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


class Settings(ServiceSettings):
    """How many browsers there may be, where models live, and how long steps may take."""

    model_config = SettingsConfigDict(env_prefix="CORUN_RESOURCE_POOL_")

    port: Port = 50053
    max_connections: Annotated[int, Field(ge=1, le=64)] = 4
    core_count: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=lambda: min(64, usable_cores()))
    models_folder: Path | None = None
    cache_folder: Path = Field(default_factory=cache_folder)
    queue_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    load_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    run_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 600.0
    transfer_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    memory_interval_seconds: Annotated[float, Field(ge=0.01, le=10)] = 0.1
