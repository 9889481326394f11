"""Settings of the validator."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from corun.plumbing.settings import state_folder
from corun.validator.config import Settings


def test_defaults_are_the_guides_threshold_and_a_file_in_the_state_folder() -> None:
    settings = Settings()
    assert (settings.error_threshold, settings.recent_count, settings.port) == (0.15, 10, 50054)
    assert settings.db_path == state_folder() / "corun.duckdb"


def test_a_relative_path_becomes_absolute() -> None:
    assert Settings(db_path=Path("benchmark_db.duckdb")).db_path == Path.cwd() / "benchmark_db.duckdb"
    assert Settings(db_path=Path("~/v.duckdb")).db_path == Path.home() / "v.duckdb"


@pytest.mark.parametrize("wrong", [0.0, -0.1, float("nan"), float("inf"), 100.5])
def test_a_threshold_that_no_error_can_be_held_against_is_refused(wrong: float) -> None:
    with pytest.raises(ValidationError, match="error_threshold"):
        Settings(error_threshold=wrong)


@pytest.mark.parametrize("wrong", [0, 100_001])
def test_a_count_of_recent_validations_out_of_range_is_refused(wrong: int) -> None:
    with pytest.raises(ValidationError, match="recent_count"):
        Settings(recent_count=wrong)
