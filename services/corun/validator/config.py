"""Settings of the validator, from CORUN_VALIDATOR_… in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from corun.plumbing.settings import Port, ServiceSettings, state_folder


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class Settings(ServiceSettings):
    """Where the database is, and what counts as a good prediction.

    Attributes:
        db_path: DuckDB file; made, with its folders, when it is not there.
        error_threshold: Largest acceptable error of a prediction, 0.15 meaning 15 %.
        recent_count: How many of the newest validations count as recent unless a request says otherwise.
        history_size: How many of each platform's newest validations trends and recommendations are made of.
        refinement_interval: Validations on a platform between two refinements.
        enable_trend_analysis: Whether metrics tell of trends and drift.
    """

    model_config = SettingsConfigDict(env_prefix="CORUN_VALIDATOR_")

    port: Port = 50054
    db_path: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=lambda: state_folder() / "corun.duckdb")
    error_threshold: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 0.15
    recent_count: Annotated[int, Field(ge=1, le=100_000)] = 10
    history_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    refinement_interval: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    enable_trend_analysis: bool = True
