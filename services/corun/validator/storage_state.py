"""What a database says of itself: which one it is, how often it was written to, how many rows it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from corun.validator.core.loss import HighWater, Loss
from corun.validator.database import parsed

_OWN = ("schema_migrations", "storage_state", "storage_incidents")


@dataclass(frozen=True, slots=True)
class Incident:
    """A loss that was found when a service started.

    Attributes:
        detected_time: Aware.
        kept_file: Damaged file that was kept, or "".
    """

    detected_time: datetime
    loss: Loss
    kept_file: str


def record_tables(cursor: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Tables that hold records, in alphabetical order; those about the database itself are left out."""
    rows = cursor.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND NOT temporary ORDER BY table_name"
    ).fetchall()
    return tuple(row[0] for row in rows if row[0] not in _OWN)


def read_state(cursor: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> HighWater:
    """State of the database, as the cursor's transaction sees it."""
    counts = ", ".join(f'(SELECT count(*) FROM "{table}")' for table in tables)
    row = cursor.execute(f"SELECT database_id, commit_number, {counts} FROM storage_state").fetchone()
    if row is None:
        raise duckdb.InternalException("storage_state has no row")
    database_id, number, *found = row
    return HighWater(database_id, number, dict(zip(tables, found, strict=True)))


def count_commit(cursor: duckdb.DuckDBPyConnection) -> None:
    """Counts the transaction that the cursor is in."""
    cursor.execute(parsed(cursor, "UPDATE storage_state SET commit_number = commit_number + 1"))


def add_incident(cursor: duckdb.DuckDBPyConnection, incident: Incident) -> None:
    """Writes a loss down, so that later starts tell of it too."""
    cursor.execute(
        "INSERT INTO storage_incidents VALUES (?, ?, ?, ?)",
        [
            incident.detected_time.astimezone(UTC).replace(tzinfo=None),
            incident.loss.description,
            json.dumps(dict(incident.loss.missing_row_counts)),
            incident.kept_file,
        ],
    )


def read_incidents(cursor: duckdb.DuckDBPyConnection) -> list[Incident]:
    """Every loss that was ever found, oldest first."""
    rows = cursor.execute("SELECT * FROM storage_incidents ORDER BY detected_time").fetchall()
    return [
        Incident(moment.replace(tzinfo=UTC), Loss(description, json.loads(missing)), kept)
        for moment, description, missing, kept in rows
    ]
