"""Records as rows of the tables, and the statements that insert them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import duckdb
import pyarrow as pa

from corun.validation.error_rates import ErrorRates
from corun.validator.core.records import Execution, Performance, Workload
from corun.validator.database import parsed

Row: TypeAlias = dict[str, object]

# From here on one statement through Arrow is faster than a statement a row.
_ARROW_FROM = 8

_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us"),
}


def execution_row(execution: Execution, *, digest: str, end_time: datetime) -> Row:
    """The row of an execution, by column."""
    predicted, measured = execution.predicted, execution.measured
    return {
        "execution_id": execution.execution_id,
        "end_time": end_time,
        "recorded_time": utc(None),
        "platform": execution.platform,
        "strategy": execution.strategy,
        "strategy_chosen": execution.strategy_chosen,
        "optimization_goal": execution.goal,
        "engine": execution.engine,
        "adapter": execution.adapter,
        **workload_columns(execution.workload),
        "plan": execution.plan_json,
        "predictor_version": execution.predictor_version,
        "predicted_latency_ms": predicted.latency_ms if predicted else None,
        "predicted_throughput_items_per_second": predicted.throughput_items_per_second if predicted else None,
        "predicted_memory_mb": predicted.memory_mb if predicted else None,
        "measured_latency_ms": measured.latency_ms,
        "measured_throughput_items_per_second": measured.throughput_items_per_second,
        "measured_memory_mb": measured.memory_mb,
        "queue_time_ms": execution.queue_time_ms,
        "load_time_ms": execution.load_time_ms,
        "core_count": execution.core_count,
        "explored": execution.explored,
        "content_sha256": digest,
    }


def validation_row(execution: Execution, predicted: Performance, errors: ErrorRates, *, end_time: datetime) -> Row:
    """The row of a validation, by column."""
    measured = execution.measured
    return {
        "execution_id": execution.execution_id,
        "timestamp": end_time,
        **workload_columns(execution.workload),
        "platform": execution.platform,
        "strategy": execution.strategy,
        "optimization_goal": execution.goal,
        "engine": execution.engine,
        "adapter": execution.adapter,
        "predictor_version": execution.predictor_version,
        "explored": execution.explored,
        "predicted_latency": predicted.latency_ms,
        "actual_latency": measured.latency_ms,
        "latency_error": errors.latency,
        "predicted_throughput": predicted.throughput_items_per_second,
        "actual_throughput": measured.throughput_items_per_second,
        "throughput_error": errors.throughput,
        "predicted_memory": predicted.memory_mb,
        "actual_memory": measured.memory_mb,
        "memory_error": errors.memory,
    }


def run_columns(executions: Iterable[Execution]) -> dict[str, list[object]]:
    """The runs of executions, a list a column."""
    columns: dict[str, list[object]] = {
        "execution_ids": [],
        "indexes": [],
        "model_names": [],
        "batch_sizes": [],
        "lane_widths": [],
        "concurrencies": [],
        "run_times": [],
        "stages": [],
        "places": [],
        "iterations": [],
        "replicas": [],
        "engines": [],
    }
    lists = tuple(columns.values())
    for execution in executions:
        for index, run in enumerate(execution.runs):
            values = (
                execution.execution_id,
                index,
                run.model_name,
                run.batch_size,
                run.lane_width,
                run.concurrency,
                run.run_time_ms,
                run.stage,
                run.run,
                run.iteration,
                run.replica,
                run.engine,
            )
            for column, value in zip(lists, values, strict=True):
                column.append(value)
    return columns


def workload_columns(workload: Workload) -> Row:
    """The columns that say what ran."""
    models = [
        {"model_name": model.model_name, "model_type": model.model_type, "batch_size": model.batch_size}
        for model in workload.models
    ]
    return {"model_count": len(models), "model_configs": json.dumps(models), "iterations": workload.iterations}


def insert_rows(cursor: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Inserts rows that all have the same columns, in their order; through Arrow where there are many."""
    if len(rows) < _ARROW_FROM:
        for row in rows:
            columns, places = ", ".join(row), ", ".join(f"${column}" for column in row)
            cursor.execute(parsed(cursor, f"INSERT INTO {table} ({columns}) VALUES ({places})"), row)
        return
    cursor.register("arrow_rows", _arrow_table(rows))
    try:
        cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM arrow_rows")
    finally:
        cursor.unregister("arrow_rows")


def utc(moment: datetime | None) -> datetime:
    """A moment, or now, as the columns have it."""
    # Naive on purpose: the columns are TIMESTAMP in UTC, and an aware one would be turned to the machine's zone.
    return (moment or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)


def _arrow_table(rows: Sequence[Row]) -> pa.Table:
    columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        first = next((value for value in values if value is not None), None)
        columns[name] = pa.array(values, type=_TYPES[type(first)] if first is not None else pa.string())
    return pa.table(columns)
