"""The record on disk: one thread writes, readers have cursors of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from corun.validator import dataset_reads, history_reads, reads, writes
from corun.validator.core.dataset import DatasetQuery, ExecutionOnRecord
from corun.validator.core.error_rates import ErrorRates
from corun.validator.core.findings import Evidence
from corun.validator.core.metrics import Metrics, Selection
from corun.validator.core.records import Comparison, Execution, Performance
from corun.validator.core.refinement import Refinement
from corun.validator.database import failures_named, open_database
from corun.validator.refinement_writes import record_refinement
from corun.validator.transaction import transaction

Result = TypeVar("Result")


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


class Store:
    """Executions, validations and comparisons in one DuckDB file.

    A method that writes returns when its transaction is committed. Cancelling one does not take back a write that
    has begun; repeating it under the same id is harmless. Methods raise DatabaseFailed when DuckDB refuses, and
    ExecutionConflict when an id is on record with other figures; nothing is written then.
    """

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._root = connection  # only ever gives out cursors: a connection shared by threads raises
        self._cursors = threading.Lock()
        self._writer = connection.cursor()
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="validator-writer")

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Opens or makes the file.

        Raises:
            DatabaseLocked: when another process holds it.
            DatabaseFailed: when it cannot be made or read, or is no database of ours.
        """
        return cls(path, await asyncio.to_thread(open_database, path))

    async def close(self) -> None:
        """Lets writes that were begun finish, then gives the file back."""
        await asyncio.to_thread(self._writing.shutdown)
        await asyncio.to_thread(self._close_connections)

    async def record_execution(self, execution: Execution) -> RecordedExecution:
        """Puts an execution and its runs on record."""

        def write(cursor: duckdb.DuckDBPyConnection) -> RecordedExecution:
            known = writes.record_execution(cursor, execution)
            return RecordedExecution(known is None, reads.count_rows(cursor, "executions"))

        return await self._write(write)

    async def record_validation(self, execution: Execution, predicted: Performance) -> RecordedValidation:
        """Puts the errors of a prediction on record, and its execution where that is new.

        Raises:
            InvalidField: when an error would not be finite.
        """

        def write(cursor: duckdb.DuckDBPyConnection) -> RecordedValidation:
            errors = writes.record_validation(cursor, execution, predicted)
            return RecordedValidation(errors, reads.count_rows(cursor, "multi_model_validation_metrics"))

        return await self._write(write)

    async def record_comparison(self, comparison: Comparison) -> int:
        """Puts a comparison on record and returns how many there are now.

        Raises:
            ComparisonConflict: when the id is on record with other figures.
        """

        def write(cursor: duckdb.DuckDBPyConnection) -> int:
            writes.record_comparison(cursor, comparison)
            return reads.count_rows(cursor, "multi_model_optimization_impact")

        return await self._write(write)

    async def record_refinement(self, refinement: Refinement) -> RecordedRefinement:
        """Puts an attempt to refine the predictor on record.

        Raises:
            RefinementConflict: when the id is on record with other figures.
        """

        def write(cursor: duckdb.DuckDBPyConnection) -> RecordedRefinement:
            new = record_refinement(cursor, refinement)
            return RecordedRefinement(new, reads.count_rows(cursor, "model_refinements"))

        return await self._write(write)

    async def metrics(self, selection: Selection) -> Metrics:
        """Errors and impact of the selected records, all of one moment."""
        return await asyncio.to_thread(self._read, lambda cursor: reads.metrics(cursor, selection))

    async def evidence(self, platform: str | None, *, history_size: int) -> dict[str, Evidence]:
        """What speaks for a refinement, by platform (None: all); at most `history_size` validations of each."""
        return await asyncio.to_thread(
            self._read,
            lambda cursor: history_reads.evidence(cursor, platform=platform, history_size=history_size),
        )

    async def dataset(self, query: DatasetQuery) -> AsyncGenerator[ExecutionOnRecord, None]:
        """Selected executions in the order they were recorded, page by page; later ones than its first are not seen."""
        pages = await asyncio.to_thread(self._read, lambda cursor: dataset_reads.pages(cursor, query))
        for page in pages:
            for record in await asyncio.to_thread(
                self._read, lambda cursor, ids=page: dataset_reads.records(cursor, ids)
            ):
                yield record

    async def _write(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._committed, work)

    def _committed(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        with failures_named(self.path), transaction(self._writer) as cursor:
            return work(cursor)

    def _read(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        with failures_named(self.path):
            with self._cursors:
                cursor = self._root.cursor()
            with cursor, transaction(cursor):
                return work(cursor)

    def _close_connections(self) -> None:
        self._writer.close()
        with self._cursors:
            self._root.close()
