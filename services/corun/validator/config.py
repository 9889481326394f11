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
        enable_trend_analysis: Whether metrics tell of trends and drift, and recommendations heed them.
        retention_days: Records older than this are deleted; None keeps them for ever.
        retention_bytes: Space that records may take in the file; above it the oldest go. None: no limit.
        write_capacity: Most records that may wait to be written; more are refused.
        query_seconds: Longest time that one query of a user's may take.
        query_memory_bytes: Most memory that it may take.
        query_result_bytes: Largest answer.
        query_concurrency: Most queries at once; others wait a moment, then are refused.
    """

    model_config = SettingsConfigDict(env_prefix="CORUN_VALIDATOR_")

    port: Port = 50054
    db_path: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=lambda: state_folder() / "corun.duckdb")
    error_threshold: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 0.15
    recent_count: Annotated[int, Field(ge=1, le=100_000)] = 10
    history_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    refinement_interval: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    enable_trend_analysis: bool = True
    retention_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = None
    retention_bytes: Annotated[int, Field(ge=10_000_000)] | None = None
    write_capacity: Annotated[int, Field(ge=10_000, le=1_000_000)] = 20_000
    query_seconds: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 20
    query_memory_bytes: Annotated[int, Field(ge=100_000_000)] = 600_000_000
    query_result_bytes: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 64_000_000
    query_concurrency: Annotated[int, Field(ge=1, le=64)] = 2
