"""Settings that every service has. Each service adds its own and its environment prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings

Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """Where a service listens and how long it lets calls finish when it ends."""

    host: str = "127.0.0.1"
    port: Port = 0
    grace_seconds: Annotated[float, Field(ge=0, le=600)] = 3.0


def state_folder() -> Path:
    """Where observations and databases live unless a setting says otherwise."""
    return Path(platformdirs.user_data_dir("corun", appauthor=False))


def cache_folder() -> Path:
    """Where prepared models live unless a setting says otherwise. It may be deleted at any time."""
    return Path(platformdirs.user_cache_dir("corun", appauthor=False))
