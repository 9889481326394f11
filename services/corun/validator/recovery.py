"""Opening a database so that damage is never silent: what was acknowledged and is gone is found and told."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import structlog

from corun.errors import DatabaseFailed
from corun.validator.core.loss import HighWater, Loss, find_loss
from corun.validator.database import LogDamaged, bring_up_to_date, connect, failures_named, make_folder
from corun.validator.high_water_mark import MarkFile, MarkUnreadable, mark_path, read_mark
from corun.validator.storage_state import Incident, add_incident, count_commit, read_state, record_tables
from corun.validator.transaction import transaction

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is ready to be used.

    Attributes:
        state: As it is on disk now.
        tables: Those that hold records.
        incident: What this start found missing; None when everything is there.
    """

    connection: duckdb.DuckDBPyConnection
    mark: MarkFile
    state: HighWater
    tables: Sequence[str]
    incident: Incident | None


def open_database(path: Path) -> Opened:
    """Opens or makes the file, with its folders, and holds it against its high-water mark.

    A write-ahead log that cannot be replayed is set aside and what is in order of it is used.

    Raises:
        DatabaseLocked: when another process holds the file; names it.
        DatabaseFailed: when it cannot be made or read, or is no database of ours.
    """
    make_folder(path)
    with contextlib.ExitStack() as undo, failures_named(path):
        log_copy = _copied_log(path)
        if log_copy is not None:
            undo.callback(log_copy.unlink, missing_ok=True)
        connection, log_problem = _connected(path)
        undo.callback(connection.close)
        bring_up_to_date(path, connection)
        tables = record_tables(connection)
        state = read_state(connection, tables)
        loss = _loss(path, state)
        if log_problem and loss is None:
            loss = Loss(
                f"the write-ahead log was damaged ({log_problem}), but nothing that was acknowledged is missing"
            )
        incident = None
        if loss is not None:
            incident = _noted(path, connection, loss, log_copy)
            state = read_state(connection, tables)
        mark = MarkFile(mark_path(path))
        undo.callback(mark.close)
        for _ in range(2):  # in both places: one of a database that was here before must not outlive this
            mark.write(state)
        if incident is None and log_copy is not None:
            log_copy.unlink(missing_ok=True)
        undo.pop_all()
    return Opened(connection, mark, state, tables, incident)


def log_path(path: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a database."""
    return path.with_name(f"{path.name}.wal")


def _copied_log(path: Path) -> Path | None:
    """A copy of the log before it is replayed, which uses it up."""
    log = log_path(path)
    copy = path.with_name(f"{path.name}.wal.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        shutil.copyfile(log, copy)
    except FileNotFoundError:
        return None
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    return copy


def _connected(path: Path) -> tuple[duckdb.DuckDBPyConnection, str]:
    """The connection, and what is wrong with the log."""
    try:
        return connect(path), ""
    except LogDamaged as damage:
        problem, position = str(damage), damage.position
    for kept_bytes in (position, 0):
        try:
            _cut(log_path(path), kept_bytes)
            return connect(path), problem
        except LogDamaged:
            continue
    raise DatabaseFailed(str(path), problem)


def _cut(log: Path, kept_bytes: int) -> None:
    if kept_bytes == 0:
        log.unlink(missing_ok=True)
        return
    with log.open("r+b") as file:
        file.truncate(kept_bytes)


def _loss(path: Path, state: HighWater) -> Loss | None:
    try:
        return find_loss(state, read_mark(mark_path(path)))
    except MarkUnreadable as problem:
        return find_loss(state, None, mark_problem=str(problem))


def _noted(path: Path, connection: duckdb.DuckDBPyConnection, loss: Loss, kept: Path | None) -> Incident:
    incident = Incident(datetime.now(UTC), loss, str(kept) if kept else "")
    with transaction(connection):
        add_incident(connection, incident)
        count_commit(connection)
    # On disk at once, so that damage to the next log cannot take the note with it.
    connection.execute("CHECKPOINT")
    _log.error("the record was found damaged", database=str(path), problem=loss.description, kept=incident.kept_file)
    return incident
