"""All of a block's writes, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb


@contextlib.contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Commits what was done in the block, or takes all of it back when the block or the commit fails."""
    cursor.begin()
    try:
        yield cursor
        cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # a failed commit has rolled back by itself
            cursor.rollback()
        raise
