"""The statements that write. Each runs inside a transaction of the caller's."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import duckdb

from corun.validator.core.error_rates import ErrorRates, error_rates
from corun.validator.core.identity import (
    ComparisonConflict,
    KnownExecution,
    comparison_digest,
    execution_digest,
    refuse_contradiction,
)
from corun.validator.core.records import Comparison, Execution, Performance, Run, Workload

_KNOWN = """
SELECT
    e.content_sha256,
    coalesce(v.predicted_latency, e.predicted_latency_ms),
    coalesce(v.predicted_throughput, e.predicted_throughput_items_per_second),
    coalesce(v.predicted_memory, e.predicted_memory_mb),
    v.execution_id IS NOT NULL,
    v.latency_error, v.throughput_error, v.memory_error
FROM executions AS e LEFT JOIN multi_model_validation_metrics AS v USING (execution_id)
WHERE e.execution_id = $execution_id
"""


def record_execution(cursor: duckdb.DuckDBPyConnection, execution: Execution) -> KnownExecution | None:
    """Writes an execution and its runs unless they are on record; returns what was known before.

    Raises:
        ExecutionConflict: when the id is on record with other figures.
    """
    known = _known_execution(cursor, execution.execution_id)
    if known is None:
        _insert_execution(cursor, execution)
        if execution.runs:
            _insert_runs(cursor, execution.execution_id, execution.runs)
    else:
        refuse_contradiction(known, execution)
    return known


def record_validation(cursor: duckdb.DuckDBPyConnection, execution: Execution, predicted: Performance) -> ErrorRates:
    """Writes the errors of a prediction, and its execution where that is new; returns the errors on record.

    Raises:
        ExecutionConflict: when the id is on record with other figures.
        InvalidField: when an error would not be finite.
    """
    known = record_execution(cursor, execution)
    if known is not None and known.errors is not None:
        return known.errors
    errors = error_rates(predicted, execution.measured)
    measured = execution.measured
    row = {
        "execution_id": execution.execution_id,
        "timestamp": _recorded_end(cursor, execution.execution_id),
        **_workload_columns(execution.workload),
        "platform": execution.platform,
        "strategy": execution.strategy,
        "optimization_goal": execution.goal,
        "engine": execution.engine,
        "adapter": execution.adapter,
        "predictor_version": execution.predictor_version,
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
    insert(cursor, "multi_model_validation_metrics", row)
    return errors


def record_comparison(cursor: duckdb.DuckDBPyConnection, comparison: Comparison) -> None:
    """Writes how strategies compared unless it is on record.

    Raises:
        ComparisonConflict: when the id is on record with other figures.
    """
    digest = comparison_digest(comparison)
    known = cursor.execute(
        "SELECT content_sha256 FROM multi_model_optimization_impact WHERE comparison_id = ?",
        [comparison.comparison_id],
    ).fetchone()
    if known is not None:
        if known[0] != digest:
            raise ComparisonConflict(comparison.comparison_id)
        return
    row = {
        "comparison_id": comparison.comparison_id,
        "timestamp": utc(None),
        **_workload_columns(comparison.workload),
        "platform": comparison.platform,
        "optimization_goal": comparison.goal,
        "recommended_strategy": comparison.recommended,
        "best_strategy": comparison.best,
        "recommendation_correct": comparison.recommendation_correct,
        "improvement_percent": comparison.improvement_percent,
        "strategy_results": json.dumps({name: _guide_figures(each) for name, each in comparison.outcomes.items()}),
        "content_sha256": digest,
    }
    insert(cursor, "multi_model_optimization_impact", row)


def _known_execution(cursor: duckdb.DuckDBPyConnection, execution_id: str) -> KnownExecution | None:
    row = cursor.execute(_KNOWN, {"execution_id": execution_id}).fetchone()
    if row is None:
        return None
    digest, latency, throughput, memory, validated, *errors = row
    predicted = None if latency is None else Performance(latency, throughput, memory)
    return KnownExecution(digest, predicted, ErrorRates(*errors) if validated else None)


def _recorded_end(cursor: duckdb.DuckDBPyConnection, execution_id: str) -> datetime:
    row = cursor.execute("SELECT end_time FROM executions WHERE execution_id = ?", [execution_id]).fetchone()
    if row is None:
        raise LookupError(f"execution {execution_id!r} must be written before its validation")
    end_time: datetime = row[0]
    return end_time


def _insert_execution(cursor: duckdb.DuckDBPyConnection, execution: Execution) -> None:
    predicted, measured = execution.predicted, execution.measured
    row = {
        "execution_id": execution.execution_id,
        "end_time": utc(execution.end_time),
        "recorded_time": utc(None),
        "platform": execution.platform,
        "strategy": execution.strategy,
        "strategy_chosen": execution.strategy_chosen,
        "optimization_goal": execution.goal,
        "engine": execution.engine,
        "adapter": execution.adapter,
        **_workload_columns(execution.workload),
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
        "content_sha256": execution_digest(execution),
    }
    insert(cursor, "executions", row)


def _insert_runs(cursor: duckdb.DuckDBPyConnection, execution_id: str, runs: tuple[Run, ...]) -> None:
    # One statement with a list a column: 2,000 rows take 15 ms, against half a second as VALUES.
    cursor.execute(
        """
        INSERT INTO runs SELECT
            $execution_id, unnest($indexes::INTEGER[]), unnest($model_names::VARCHAR[]),
            unnest($batch_sizes::INTEGER[]), unnest($lane_widths::INTEGER[]),
            unnest($concurrencies::INTEGER[]), unnest($run_times::DOUBLE[]),
            unnest($stages::INTEGER[]), unnest($places::INTEGER[]), unnest($iterations::INTEGER[]),
            unnest($replicas::INTEGER[]), unnest($engines::VARCHAR[])
        """,
        {
            "execution_id": execution_id,
            "indexes": list(range(len(runs))),
            "model_names": [run.model_name for run in runs],
            "batch_sizes": [run.batch_size for run in runs],
            "lane_widths": [run.lane_width for run in runs],
            "concurrencies": [run.concurrency for run in runs],
            "run_times": [run.run_time_ms for run in runs],
            "stages": [run.stage for run in runs],
            "places": [run.run for run in runs],
            "iterations": [run.iteration for run in runs],
            "replicas": [run.replica for run in runs],
            "engines": [run.engine for run in runs],
        },
    )


def insert(cursor: duckdb.DuckDBPyConnection, table: str, row: dict[str, object]) -> None:
    """Adds one row, given by its columns, to a table of ours."""
    columns, places = ", ".join(row), ", ".join(f"${column}" for column in row)
    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", row)


def _workload_columns(workload: Workload) -> dict[str, object]:
    models = [
        {"model_name": model.model_name, "model_type": model.model_type, "batch_size": model.batch_size}
        for model in workload.models
    ]
    return {"model_count": len(models), "model_configs": json.dumps(models), "iterations": workload.iterations}


def _guide_figures(performance: Performance) -> dict[str, float]:
    return {
        "latency": performance.latency_ms,
        "throughput": performance.throughput_items_per_second,
        "memory": performance.memory_mb,
    }


def utc(moment: datetime | None) -> datetime:
    """The moment as the columns have it; None is now."""
    # Naive on purpose: the columns are TIMESTAMP in UTC, and an aware one would be turned to the machine's zone.
    return (moment or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
