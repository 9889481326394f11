"""Applying the numbered SQL files."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from corun.validator.schema import Migration, SchemaTooNew, migrate, migrations

FIRST = Migration(1, "first", "CREATE TABLE one (a INTEGER)")
SECOND = Migration(2, "second", "CREATE TABLE two (a INTEGER); INSERT INTO two VALUES (7);")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        yield opened


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_the_guides_tables_are_there_after_the_files_are_applied(connection: duckdb.DuckDBPyConnection) -> None:
    migrate(connection, migrations())
    assert tables(connection) == {
        "schema_migrations",
        "executions",
        "runs",
        "multi_model_validation_metrics",
        "multi_model_optimization_impact",
        "model_refinements",
        "storage_state",
        "storage_incidents",
    }


def test_files_have_numbers_of_their_own_from_one_on() -> None:
    numbers = [step.version for step in migrations()]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_each_step_is_applied_once_and_later_steps_follow(connection: duckdb.DuckDBPyConnection) -> None:
    migrate(connection, [FIRST])
    for _ in range(2):
        migrate(connection, [FIRST, SECOND])
    assert connection.execute("SELECT version, name FROM schema_migrations ORDER BY version").fetchall() == [
        (1, "first"),
        (2, "second"),
    ]
    assert connection.execute("SELECT a FROM two").fetchall() == [(7,)]


def test_a_failing_step_takes_the_others_back(connection: duckdb.DuckDBPyConnection) -> None:
    broken = Migration(2, "broken", "CREATE TABLE two (a INTEGER); CREATE TABLE one (a INTEGER)")
    with pytest.raises(duckdb.Error, match="one"):
        migrate(connection, [FIRST, broken])
    assert tables(connection) == set()


def test_a_database_of_a_newer_schema_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    migrate(connection, [FIRST, SECOND])
    with pytest.raises(SchemaTooNew, match="at schema 2, this corun knows up to 1"):
        migrate(connection, [FIRST])
