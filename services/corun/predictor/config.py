"""Settings of the predictor, from the environment: CORUN_PREDICTOR_PORT, CORUN_PREDICTOR_STATE_FOLDER and so on."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from corun.plumbing import settings
from corun.plumbing.settings import Port, ServiceSettings


def _state_folder() -> Path:
    return settings.state_folder() / "predictor"


class Settings(ServiceSettings):
    """Where it listens, and where it keeps what it has learnt."""

    model_config = SettingsConfigDict(env_prefix="CORUN_PREDICTOR_")

    port: Port = 50052
    state_folder: Path = Field(default_factory=_state_folder)
