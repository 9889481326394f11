"""Opening the DuckDB file, and its failures in corun's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from corun.errors import DatabaseFailed, DatabaseLocked
from corun.validator.schema import SchemaTooNew, migrate, migrations

# Modest on purpose: the database shares the machine with the browsers that are being measured. One thread also writes
# a fifth faster than two do, for there is nothing to share in a few rows; readers have threads of their own.
# Nothing may be fetched while opening: what is needed is built in.
_CONFIG: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_HOLDER = re.compile(r"(?:held|open) in\s+(?P<program>.+?) \(PID (?P<pid>\d+)\)")


class LogDamaged(Exception):
    """The write-ahead log cannot be replayed.

    Attributes:
        position: Byte up to which it is in order, where DuckDB says so.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = re.search(r"at byte position (\d+)", message)
        self.position = int(found[1]) if found else 0


def make_folder(path: Path) -> None:
    """Makes the folder of a database.

    Raises:
        DatabaseFailed: when it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseFailed(str(path), f"its folder cannot be made: {error.strerror}") from error


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Opens or makes the file; replays what its write-ahead log has.

    Raises:
        DatabaseLocked: when another process holds the file; names it.
        LogDamaged: when the write-ahead log is damaged.
        DatabaseFailed: when the file cannot be made or read.
    """
    try:
        return duckdb.connect(str(path), config=_CONFIG)
    except duckdb.Error as error:
        raise _cannot_open(path, str(error)) from error


def bring_up_to_date(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the tables, or brings them to this corun's schema.

    Raises:
        DatabaseFailed: when it is no database of ours, or of a newer corun.
    """
    try:
        migrate(connection, migrations())
    except (duckdb.Error, SchemaTooNew) as error:
        raise DatabaseFailed(str(path), f"its tables cannot be brought up to date: {first_line(error)}") from error


_parsed: dict[str, duckdb.Statement] = {}


def parsed(cursor: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """One statement, parsed once: of a small one, parsing takes a quarter of the time. For texts that come back."""
    statement = _parsed.get(sql)
    if statement is None:
        (statement,) = cursor.extract_statements(sql)
        _parsed[sql] = statement
    return statement


@contextlib.contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turns errors of DuckDB and of the disk in the block into DatabaseFailed."""
    try:
        yield
    except duckdb.Error as error:
        raise DatabaseFailed(str(path), first_line(error)) from error
    except OSError as error:
        raise DatabaseFailed(str(path), f"{error.filename or 'its high-water mark'}: {error.strerror}") from error


def first_line(error: Exception) -> str:
    """What an exception says, without DuckDB's pictures of the statement."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _cannot_open(path: Path, message: str) -> DatabaseLocked | DatabaseFailed | LogDamaged:
    holder = _HOLDER.search(message)
    if holder:
        return DatabaseLocked(str(path), f"process {holder['pid']} ({Path(holder['program']).name})")
    if "Could not set lock" in message:
        return DatabaseLocked(str(path), "another process")
    if "replaying WAL" in message:
        return LogDamaged(message.splitlines()[0])
    return DatabaseFailed(str(path), message.splitlines()[0])
