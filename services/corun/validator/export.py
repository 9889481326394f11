"""A table as a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import duckdb

from corun.errors import InvalidField
from corun.validator.store import Store

_CHUNK_BYTES = 1_000_000
_OPTIONS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER true"}


async def exported(store: Store, table: str, file_format: str) -> AsyncGenerator[bytes, None]:
    """The bytes of a file with all rows of a table, as they were at one moment.

    Args:
        store: Where the table is.
        table: One of the store's.
        file_format: "parquet" or "csv".

    Raises:
        InvalidField: when there is no such table.
        DatabaseFailed: when it cannot be read, or there is no room for the file.
    """
    if table not in store.tables:
        raise InvalidField("table", f"there is no table {table!r}; available: {', '.join(store.tables)}")
    with tempfile.TemporaryDirectory(prefix="corun-export-") as folder:
        file = Path(folder) / f"{table}.{file_format}"

        def write(cursor: duckdb.DuckDBPyConnection) -> None:
            cursor.execute(f"COPY (SELECT * FROM \"{table}\") TO '{file}' ({_OPTIONS[file_format]})")

        await store.read(write)
        with closing(await asyncio.to_thread(file.open, "rb")) as content:
            while chunk := await asyncio.to_thread(content.read, _CHUNK_BYTES):
                yield chunk
