"""The process that answers one query of a user's: `python -m corun.validator.query_process`.

A JSON object comes on standard input, an Arrow IPC stream goes to standard output, and how it ended, as one JSON
object, to standard error. Whatever the query does, it does it to a copy of the record, without files, network or
extensions, within limits of memory, time and size that the process sets itself before it looks at the query.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

_ROWS_A_BATCH = 10_000
# DuckDB's own limit is this share: the values of strings and what goes through Arrow are not held to it.
_ENGINE_SHARE = 0.5
# A query words its own errors: error(repeat('x', 100000000)).
_LONGEST_MESSAGE = 2_000


class Refused(Exception):
    """Why there is no answer. `kind` is "invalid", "limit" or "failed"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Counted:
    """Passes bytes on, and refuses those that would be too many."""

    def __init__(self, sink: BinaryIO, limit: int) -> None:
        self._sink, self._limit = sink, limit
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        block = memoryview(data).nbytes
        if self.size + block > self._limit:
            raise Refused("limit", f"the answer is larger than {self._limit:,} bytes")
        self.size += block
        self._sink.write(data)
        return block

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True


def answer(given: dict[str, Any], sink: BinaryIO) -> dict[str, Any]:
    """Writes the answer to `sink`; gives its size.

    Raises:
        Refused: when there is none.
    """
    start = time.perf_counter()
    with _opened(given) as connection:
        _limit_self(given["memory_bytes"], given["seconds"])
        statement = _one_select(given)
        try:
            reader = connection.execute(statement).to_arrow_reader(_ROWS_A_BATCH)
            counted = _Counted(sink, given["result_bytes"])
            rows = _written(reader, counted, given["max_rows"])
        except duckdb.Error as error:
            raise _refusal(error, given) from None
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise _out_of_memory(given) from error
    return {"row_count": rows, "size_bytes": counted.size, "query_time_ms": (time.perf_counter() - start) * 1000}


def _written(reader: pa.RecordBatchReader, counted: _Counted, max_rows: int) -> int:
    rows = 0
    with pa.ipc.new_stream(counted, reader.schema) as stream:
        for batch in reader:
            rows += batch.num_rows
            if rows > max_rows:
                raise Refused("limit", f"the answer has more than {max_rows:,} rows")
            stream.write_batch(batch)
    return rows


def _opened(given: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    engine_bytes = int(given["memory_bytes"] * _ENGINE_SHARE)
    try:
        connection = duckdb.connect(
            given["path"],
            read_only=True,
            config={
                "threads": 1,
                "memory_limit": f"{engine_bytes}B",
                "temp_directory": "",
                "home_directory": "/nonexistent",
                "python_enable_replacements": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
            },
        )
        connection.execute("SET enable_external_access = false")
        connection.execute(f"SET max_execution_time = {int(given['seconds'] * 1000)}")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        raise Refused("failed", _first_line(error)) from None
    return connection


def _one_select(given: dict[str, Any]) -> duckdb.Statement:
    try:
        statements = duckdb.extract_statements(given["sql"])
    except duckdb.Error as error:
        raise _refusal(error, given) from None
    if len(statements) != 1:
        raise Refused("invalid", f"expected exactly one SELECT statement; received {len(statements)} statements")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise Refused("invalid", f"expected a SELECT statement; received one of type {kind.name}")
    if statements[0].named_parameters:
        names = ", ".join(sorted(statements[0].named_parameters))
        raise Refused("invalid", f"parameters ({names}) have no values here; write the values into the statement")
    return statements[0]


def _refusal(error: duckdb.Error, given: dict[str, Any]) -> Refused:
    message = _first_line(error)
    if isinstance(error, duckdb.InterruptException):
        return Refused("limit", f"the query took more than {given['seconds']:g} s")
    if isinstance(error, duckdb.OutOfMemoryException) or "allocat" in message:
        return _out_of_memory(given)
    if isinstance(error, duckdb.InternalException | duckdb.FatalException | duckdb.IOException):
        return Refused("failed", message)
    return Refused("invalid", message)


def _out_of_memory(given: dict[str, Any]) -> Refused:
    return Refused("limit", f"the query needs more memory than it may have ({given['memory_bytes']:,} bytes)")


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _limit_self(memory_bytes: int, seconds: float) -> None:
    # Beyond what Python, DuckDB and Arrow have taken up by now, most of which they never touch.
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    address_space = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    processor_seconds = int(seconds) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))
    os.nice(5)  # others write meanwhile, and browsers are measured


def main() -> int:
    """Answers what standard input asks; gives the exit code."""
    given = json.load(sys.stdin)
    try:
        ended = answer(given, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except Refused as refused:
        ended = {"refused": refused.kind, "message": str(refused)}
    except MemoryError:
        ended = {"refused": "limit", "message": str(_out_of_memory(given))}
    print(json.dumps(ended), file=sys.stderr, flush=True)  # noqa: T201  (the process's one message)
    return 0


if __name__ == "__main__":
    sys.exit(main())
