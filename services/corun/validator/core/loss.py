"""Whether a database holds everything that was acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HighWater:
    """State of a database at a commit.

    Attributes:
        database_id: Which database.
        commit_number: How often it was written to.
        row_counts: Rows by table.
        time: When that was, aware; None of a database that is being looked at.
    """

    database_id: str
    commit_number: int
    row_counts: Mapping[str, int]
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """What is missing, in words and, where it is known, in rows by table."""

    description: str
    missing_row_counts: Mapping[str, int] = field(default_factory=dict)


def find_loss(found: HighWater, marked: HighWater | None, *, mark_problem: str = "") -> Loss | None:
    """Holds the database as it was `found` against the mark that was left beside it.

    A database may be ahead of its mark, which is written after the commit; it is never behind unless it lost rows.

    Args:
        found: State of the database.
        marked: The mark; None when there is none that can be read.
        mark_problem: Why it cannot be read.

    Returns:
        None when everything is there.
    """
    is_new = found.commit_number == 0
    if marked is None:
        return None if is_new else _unknown(mark_problem or "is gone")
    if marked.database_id != found.database_id:
        return _gone(marked) if is_new else _unknown("is of another database")
    return _difference(found, marked)


def _difference(found: HighWater, marked: HighWater) -> Loss | None:
    missing = {
        table: count - found.row_counts.get(table, 0)
        for table, count in marked.row_counts.items()
        if count > found.row_counts.get(table, 0)
    }
    if found.commit_number < marked.commit_number:
        lost = _commits(marked.commit_number - found.commit_number)
        return Loss(f"{lost} up to {_moment(marked)} missing: {_rows(missing)}", missing)
    if found.commit_number == marked.commit_number and missing:
        return Loss(f"rows acknowledged up to {_moment(marked)} are missing: {_rows(missing)}", missing)
    return None


def _gone(marked: HighWater) -> Loss:
    missing = {table: count for table, count in marked.row_counts.items() if count}
    where = f"the database that was here until {_moment(marked)}"
    return Loss(f"{where} is gone with {_rows(missing)}; a new one was made", missing)


def _unknown(problem: str) -> Loss:
    return Loss(f"whether rows are missing is not known: the high-water mark beside the database {problem}")


def _commits(count: int) -> str:
    return "the last acknowledged write is" if count == 1 else f"the last {count:,} acknowledged writes are"


def _moment(marked: HighWater) -> str:
    return marked.time.isoformat(timespec="seconds") if marked.time else "an unknown time"


def _rows(counts: Mapping[str, int]) -> str:
    words = [f"{count:,} of {table}" for table, count in counts.items() if count]
    return f"rows {', '.join(words)}" if words else "no rows, but changes to rows"
