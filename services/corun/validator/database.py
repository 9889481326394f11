"""Opening the DuckDB file, and its failures in corun's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from corun.errors import DatabaseFailed, DatabaseLocked
from corun.validator.schema import SchemaTooNew, migrate, migrations

# Modest on purpose: the database shares the machine with the browsers that are being measured.
# Nothing may be fetched while opening: what is needed is built in.
_CONFIG: dict[str, str | int | float | list[str]] = {
    "threads": 2,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_HOLDER = re.compile(r"(?:held|open) in\s+(?P<program>.+?) \(PID (?P<pid>\d+)\)")


def open_database(path: Path) -> duckdb.DuckDBPyConnection:
    """Opens or makes the file, with its folders, and brings its tables up to date.

    Raises:
        DatabaseLocked: when another process holds the file; names it.
        DatabaseFailed: when it cannot be made or read, or is no database of ours.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseFailed(str(path), f"its folder cannot be made: {error.strerror}") from error
    try:
        connection = duckdb.connect(str(path), config=_CONFIG)
    except duckdb.Error as error:
        raise _cannot_open(path, str(error)) from error
    try:
        migrate(connection, migrations())
    except (duckdb.Error, SchemaTooNew) as error:
        connection.close()
        raise DatabaseFailed(str(path), f"its tables cannot be brought up to date: {_first_line(error)}") from error
    return connection


@contextlib.contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turns errors of DuckDB in the block into DatabaseFailed."""
    try:
        yield
    except duckdb.Error as error:
        raise DatabaseFailed(str(path), _first_line(error)) from error


def _cannot_open(path: Path, message: str) -> DatabaseLocked | DatabaseFailed:
    holder = _HOLDER.search(message)
    if holder:
        return DatabaseLocked(str(path), f"process {holder['pid']} ({Path(holder['program']).name})")
    if "Could not set lock" in message:
        return DatabaseLocked(str(path), "another process")
    return DatabaseFailed(str(path), message.splitlines()[0])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
