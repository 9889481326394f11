"""The database's tables, from the numbered files in `migrations/`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from corun.validator.transaction import transaction

FOLDER = Path(__file__).parent / "migrations"

_REGISTER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied_time TIMESTAMP NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, known by the number that its file's name begins with."""

    version: int
    name: str
    sql: str


class SchemaTooNew(Exception):
    """The database was written by a newer corun."""


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """Every step in `folder`, lowest number first."""
    found = []
    for file in sorted(folder.glob("[0-9]*.sql")):
        number, _, name = file.stem.partition("_")
        found.append(Migration(version=int(number), name=name, sql=file.read_text(encoding="utf-8")))
    return found


def migrate(connection: duckdb.DuckDBPyConnection, steps: list[Migration]) -> None:
    """Applies the steps that are not on record yet: all of them in one transaction, or none.

    Raises:
        SchemaTooNew: when the record has a step that is not among `steps`.
        duckdb.Error: when a step fails, for example because a table of the same name is not ours.
    """
    with transaction(connection):
        connection.execute(_REGISTER)
        applied = {row[0] for row in connection.execute("SELECT version FROM schema_migrations").fetchall()}
        unknown = applied - {step.version for step in steps}
        if unknown:
            known = max(step.version for step in steps)
            raise SchemaTooNew(f"it is at schema {max(unknown)}, this corun knows up to {known}: use a newer corun")
        for step in steps:
            if step.version not in applied:
                connection.execute(step.sql)
                now = datetime.now(UTC).replace(tzinfo=None)
                connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", [step.version, step.name, now])
