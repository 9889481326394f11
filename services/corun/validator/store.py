"""The record on disk: one thread writes, readers have cursors of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from corun.validation.error_rates import ErrorRates
from corun.validator import dataset_reads, history_reads, reads, writes
from corun.validator.core.dataset import DatasetQuery, ExecutionOnRecord
from corun.validator.core.findings import Evidence
from corun.validator.core.metrics import Metrics, Selection
from corun.validator.core.records import Comparison, Execution, Performance
from corun.validator.core.refinement import Refinement
from corun.validator.database import failures_named
from corun.validator.recordings import Recorded, Recording
from corun.validator.recovery import Opened, log_path, open_database
from corun.validator.refinement_writes import record_refinement
from corun.validator.retention import Retention, prune
from corun.validator.storage_state import Incident, read_incidents
from corun.validator.transaction import transaction
from corun.validator.writer import Writer

Result = TypeVar("Result")

DEFAULT_CAPACITY = 20_000
# Apart from the threads in which requests are read, so that slow answers hold up no record.
_READERS = 4


@dataclass(frozen=True, slots=True)
class RecordedExecution:
    """Whether the execution was new, and how many are on record now."""

    newly_recorded: bool
    execution_count: int


@dataclass(frozen=True, slots=True)
class RecordedRefinement:
    """Whether the refinement was new, and how many are on record now."""

    newly_recorded: bool
    refinement_count: int


@dataclass(frozen=True, slots=True)
class RecordedValidation:
    """Errors on record for the execution, and how many validations there are now."""

    errors: ErrorRates
    validation_count: int


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """Size and wholeness of the record.

    Attributes:
        size_bytes: Of the file and its write-ahead log.
        row_counts: Rows by table.
        degraded: True when this start found that acknowledged rows are missing.
        incidents: Every loss that was ever found, oldest first.
    """

    size_bytes: int
    row_counts: dict[str, int]
    degraded: bool
    incidents: list[Incident]


class Store:
    """Executions, validations and comparisons in one DuckDB file.

    A method that writes returns when its transaction is committed. Cancelling one does not take back a write that
    has begun; repeating it under the same id is harmless. Methods raise DatabaseFailed when DuckDB refuses,
    WriteQueueFull when too much waits to be written, and ExecutionConflict when an id is on record with other
    figures; nothing is written then.
    """

    def __init__(self, path: Path, opened: Opened, *, capacity: int = DEFAULT_CAPACITY) -> None:
        self.path = path
        self._opened = opened
        self._root = opened.connection  # only ever gives out cursors: a connection shared by threads raises
        self._cursors = threading.Lock()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="validator-reader")
        self._writer = Writer(opened, path, capacity=capacity)

    @classmethod
    async def open(cls, path: Path, *, capacity: int = DEFAULT_CAPACITY) -> Store:
        """Opens or makes the file.

        Raises:
            DatabaseLocked: when another process holds it.
            DatabaseFailed: when it cannot be made or read, or is no database of ours.
        """
        return cls(path, await asyncio.to_thread(open_database, path), capacity=capacity)

    @property
    def incident(self) -> Incident | None:
        """What this start found missing."""
        return self._opened.incident

    @property
    def commit_number(self) -> int:
        """Changes with every write."""
        return self._writer.state.commit_number

    @property
    def tables(self) -> Sequence[str]:
        """Those that hold records."""
        return self._opened.tables

    async def close(self) -> None:
        """Lets writes that were begun finish, then gives the file back."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._close_connections)

    async def record_execution(self, execution: Execution) -> RecordedExecution:
        """Puts an execution and its runs on record."""
        recorded = await self._record(Recording(execution))
        return RecordedExecution(recorded.newly_recorded, self._rows("executions"))

    async def record_validation(self, execution: Execution, predicted: Performance) -> RecordedValidation:
        """Puts the errors of a prediction on record, and its execution where that is new.

        Raises:
            InvalidField: when an error would not be finite.
        """
        recorded = await self._record(Recording(execution, predicted))
        errors = recorded.errors or ErrorRates()
        return RecordedValidation(errors, self._rows("multi_model_validation_metrics"))

    async def record_many(self, recordings: Sequence[Recording]) -> tuple[list[Recorded], int]:
        """Puts executions on record in one transaction; what became of each, and how many are on record now."""
        outcomes = await self._writer.record(recordings)
        return outcomes, self._rows("executions")

    async def record_comparison(self, comparison: Comparison) -> int:
        """Puts a comparison on record and returns how many there are now.

        Raises:
            ComparisonConflict: when the id is on record with other figures.
        """
        await self._write(lambda cursor: writes.record_comparison(cursor, comparison))
        return self._rows("multi_model_optimization_impact")

    async def record_refinement(self, refinement: Refinement) -> RecordedRefinement:
        """Puts an attempt to refine the predictor on record.

        Raises:
            RefinementConflict: when the id is on record with other figures.
        """

        new = await self._write(lambda cursor: record_refinement(cursor, refinement))
        return RecordedRefinement(new, self._rows("model_refinements"))

    async def metrics(self, selection: Selection) -> Metrics:
        """Errors and impact of the selected records, all of one moment."""
        return await self.read(lambda cursor: reads.metrics(cursor, selection))

    async def evidence(self, platform: str | None, *, history_size: int) -> dict[str, Evidence]:
        """What speaks for a refinement, by platform (None: all); at most `history_size` validations of each."""
        return await self.read(
            lambda cursor: history_reads.evidence(cursor, platform=platform, history_size=history_size),
        )

    async def dataset(self, query: DatasetQuery) -> AsyncGenerator[ExecutionOnRecord, None]:
        """Selected executions in the order they were recorded, page by page; later ones than its first are not seen."""
        pages = await self.read(lambda cursor: dataset_reads.pages(cursor, query))
        for page in pages:
            for record in await self.read(partial(dataset_reads.records, execution_ids=page)):
                yield record

    async def status(self) -> StorageStatus:
        """Size and wholeness of the record."""
        state = self._writer.state
        incidents = await self.read(read_incidents)
        size = await asyncio.to_thread(self._size_bytes)
        return StorageStatus(size, dict(state.row_counts), self.incident is not None, incidents)

    async def prune(self, retention: Retention) -> int:
        """Deletes what is too old or too much; gives how many executions went."""
        pruned = await self._write(lambda cursor: prune(cursor, retention, datetime.now(UTC)))
        if pruned:
            await asyncio.to_thread(self._checkpoint)
        return pruned

    async def read(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """Runs `work` in one of a few threads, with a cursor of its own in a transaction of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def copy_to(self, path: Path) -> None:
        """Writes the record, as it is at one moment, to a new database file; writing goes on meanwhile."""
        await asyncio.to_thread(self._copy, path)

    async def _record(self, recording: Recording) -> Recorded:
        (recorded,) = await self._writer.record([recording])
        if recorded.refusal is not None:
            raise recorded.refusal
        return recorded

    def _rows(self, table: str) -> int:
        return self._writer.state.row_counts[table]

    async def _write(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        return await self._writer.write(work)

    def _read(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        with failures_named(self.path), self._cursor() as cursor, transaction(cursor):
            return work(cursor)

    def _copy(self, path: Path) -> None:
        with failures_named(self.path), self._cursor() as cursor:
            name = f"copy_{path.stem}"
            source = cursor.execute("SELECT current_database()").fetchall()[0][0]
            cursor.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS \"{name}\"")
            try:
                cursor.execute(f'COPY FROM DATABASE "{source}" TO "{name}"')
            finally:
                cursor.execute(f'DETACH "{name}"')

    def _checkpoint(self) -> None:
        """Frees the space of deleted rows, unless somebody writes: then a later checkpoint does."""
        with failures_named(self.path), self._cursor() as cursor, suppress(duckdb.TransactionException):
            cursor.execute("CHECKPOINT")

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._cursors:
            return self._root.cursor()

    def _size_bytes(self) -> int:
        files = (self.path, log_path(self.path))
        return sum(file.stat().st_size for file in files if file.exists())

    def _close_connections(self) -> None:
        self._readers.shutdown()
        with self._cursors:
            self._root.close()
        self._opened.mark.close()
