"""Old records go when a limit of age or size is set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

# What goes at once when the file is too large: rarely enough that the space freed is worth the work.
_SHARE = 0.1

_EXECUTIONS_BEFORE = """
WITH old AS (SELECT execution_id FROM executions WHERE recorded_time < $before)
DELETE FROM {table} WHERE execution_id IN (SELECT execution_id FROM old)
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept.

    Attributes:
        days: Records older than this go; None: age does not matter.
        size_bytes: Space that records may take in the file; the oldest tenth goes while it is more. None: no limit.
    """

    days: float | None = None
    size_bytes: int | None = None

    @property
    def is_set(self) -> bool:
        """True when something may ever have to go."""
        return self.days is not None or self.size_bytes is not None


def prune(cursor: duckdb.DuckDBPyConnection, retention: Retention, now: datetime) -> int:
    """Deletes what is too old or too much inside a transaction of the caller's; gives how many executions went.

    Args:
        now: Aware.
    """
    before = _count(cursor)
    limits: list[datetime | None] = []
    if retention.days is not None:
        limits.append(now.astimezone(UTC).replace(tzinfo=None) - timedelta(days=retention.days))
    if retention.size_bytes is not None and used_bytes(cursor) > retention.size_bytes:
        limits.append(_time_of_oldest_share(cursor))
    before_times = [each for each in limits if each is not None]
    if before_times:
        _delete_before(cursor, max(before_times))
    return before - _count(cursor)


def used_bytes(cursor: duckdb.DuckDBPyConnection) -> int:
    """Space in the file that holds something. The file itself does not shrink: freed space is used again."""
    row = cursor.execute(
        "SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchone()
    return int(row[0]) if row else 0


def _delete_before(cursor: duckdb.DuckDBPyConnection, before: datetime) -> None:
    for table in ("runs", "multi_model_validation_metrics"):
        cursor.execute(_EXECUTIONS_BEFORE.format(table=table), {"before": before})
    cursor.execute("DELETE FROM executions WHERE recorded_time < ?", [before])
    cursor.execute("DELETE FROM multi_model_optimization_impact WHERE timestamp < ?", [before])


def _time_of_oldest_share(cursor: duckdb.DuckDBPyConnection) -> datetime | None:
    row = cursor.execute("SELECT quantile_disc(recorded_time, ?) FROM executions", [_SHARE]).fetchone()
    # One microsecond later, so that something goes even where all have the same time.
    return row[0] + timedelta(microseconds=1) if row and row[0] else None


def _count(cursor: duckdb.DuckDBPyConnection) -> int:
    row = cursor.execute("SELECT count(*) FROM executions").fetchone()
    return int(row[0]) if row else 0
