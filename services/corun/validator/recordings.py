"""Executions and their validations put on record, many in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from corun.errors import CorunError
from corun.validation.error_rates import ErrorRates, error_rates
from corun.validator.core.identity import KnownExecution, execution_digest, refuse_contradiction
from corun.validator.core.records import Execution, Performance
from corun.validator.database import parsed
from corun.validator.rows import Row, execution_row, insert_rows, run_columns, utc, validation_row

_KNOWN = """
SELECT
    e.execution_id,
    e.content_sha256,
    coalesce(v.predicted_latency, e.predicted_latency_ms),
    coalesce(v.predicted_throughput, e.predicted_throughput_items_per_second),
    coalesce(v.predicted_memory, e.predicted_memory_mb),
    e.end_time,
    v.execution_id IS NOT NULL,
    v.latency_error, v.throughput_error, v.memory_error
FROM executions AS e LEFT JOIN multi_model_validation_metrics AS v USING (execution_id)
WHERE e.execution_id {condition}
"""
_IS_KNOWN = "SELECT 1 FROM executions WHERE execution_id = ?"
# One statement with a list a column: 2,000 rows take 15 ms, against half a second as VALUES.
_INSERT_RUNS = """
INSERT INTO runs (
    execution_id, run_index, model_name, batch_size, lane_width, concurrency, run_time_ms,
    stage, run, iteration, replica, engine
)
SELECT
    unnest($execution_ids::VARCHAR[]), unnest($indexes::INTEGER[]), unnest($model_names::VARCHAR[]),
    unnest($batch_sizes::INTEGER[]), unnest($lane_widths::INTEGER[]),
    unnest($concurrencies::INTEGER[]), unnest($run_times::DOUBLE[]),
    unnest($stages::INTEGER[]), unnest($places::INTEGER[]), unnest($iterations::INTEGER[]),
    unnest($replicas::INTEGER[]), unnest($engines::VARCHAR[])
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """An execution to put on record, and the prediction to validate with it; None: it is not validated."""

    execution: Execution
    predicted: Performance | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a recording.

    Attributes:
        newly_recorded: True when the execution was new.
        errors: Of the validation on record; None when none was asked for.
        refusal: Why nothing was written; None when all went well.
    """

    newly_recorded: bool = False
    errors: ErrorRates | None = None
    refusal: CorunError | None = None


@dataclass(slots=True)
class _Known:
    what: KnownExecution
    end_time: datetime


class _Batch:
    """Decides what is new, one recording after another, and gathers the rows of it."""

    def __init__(self, known: dict[str, _Known]) -> None:
        self._known = known
        self.executions: list[Row] = []
        self.runs: list[Execution] = []
        self.validations: list[Row] = []

    def add(self, recording: Recording) -> Recorded:
        execution, predicted = recording.execution, recording.predicted
        known = self._known.get(execution.execution_id)
        try:
            if known is not None:
                refuse_contradiction(known.what, execution)
            errors = known.what.errors if known is not None else None
            if predicted is not None and errors is None:
                errors = error_rates(predicted, execution.measured)
        except CorunError as refusal:
            return Recorded(refusal=refusal)
        digest = known.what.content_sha256 if known is not None else execution_digest(execution)
        end_time = known.end_time if known is not None else utc(execution.end_time)
        if known is None:
            self.executions.append(execution_row(execution, digest=digest, end_time=end_time))
            if execution.runs:
                self.runs.append(execution)
        if predicted is not None and errors is not None and (known is None or known.what.errors is None):
            self.validations.append(validation_row(execution, predicted, errors, end_time=end_time))
        given = predicted or execution.predicted or (known.what.predicted if known is not None else None)
        kept = errors if errors is not None else (known.what.errors if known is not None else None)
        self._known[execution.execution_id] = _Known(KnownExecution(digest, given, kept), end_time)
        return Recorded(newly_recorded=known is None, errors=errors if predicted is not None else None)


def record_all(
    cursor: duckdb.DuckDBPyConnection, recordings: Sequence[Recording]
) -> tuple[list[Recorded], dict[str, int]]:
    """Writes what is new of the recordings inside a transaction of the caller's.

    Gives what became of each, and how many rows each table gained. A recording that contradicts the record, or whose
    error would not be finite, is refused; the others are written.
    """
    batch = _Batch(_known(cursor, list({each.execution.execution_id for each in recordings})))
    outcomes = [batch.add(recording) for recording in recordings]
    insert_rows(cursor, "executions", batch.executions)
    insert_rows(cursor, "multi_model_validation_metrics", batch.validations)
    if batch.runs:
        cursor.execute(parsed(cursor, _INSERT_RUNS), run_columns(batch.runs))
    gained = {
        "executions": len(batch.executions),
        "runs": sum(len(execution.runs) for execution in batch.runs),
        "multi_model_validation_metrics": len(batch.validations),
    }
    return outcomes, gained


def _known(cursor: duckdb.DuckDBPyConnection, execution_ids: list[str]) -> dict[str, _Known]:
    if len(execution_ids) == 1:  # found by the index, which a list is not
        if not cursor.execute(parsed(cursor, _IS_KNOWN), execution_ids).fetchall():
            return {}
        found = cursor.execute(parsed(cursor, _KNOWN.format(condition="= ?")), execution_ids)
    else:
        found = cursor.execute(_KNOWN.format(condition="IN (SELECT unnest(?::VARCHAR[]))"), [execution_ids])
    known = {}
    for execution_id, digest, latency, throughput, memory, end_time, validated, *errors in found.fetchall():
        predicted = None if latency is None else Performance(latency, throughput, memory)
        what = KnownExecution(digest, predicted, ErrorRates(*errors) if validated else None)
        known[execution_id] = _Known(what, end_time)
    return known
