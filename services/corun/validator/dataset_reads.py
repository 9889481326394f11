"""Whole executions, read back as they were recorded. Each runs inside a transaction of the caller's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import duckdb

from corun.validation.error_rates import ErrorRates, signed_errors
from corun.validator.core.dataset import DatasetQuery, ExecutionOnRecord
from corun.validator.core.records import Execution, Model, Performance, Run, Workload

# Of a page, which is in memory at once: one that is alone may have more runs.
_PAGE_EXECUTIONS = 1000
_PAGE_RUNS = 100_000

# The newest by the time of recording, and of one moment by their place in the table: clocks of callers may disagree.
_CHOSEN = """
WITH chosen AS (
    SELECT e.execution_id, e.recorded_time, e.rowid AS place
    FROM executions AS e LEFT JOIN multi_model_validation_metrics AS v USING (execution_id)
    WHERE ($platform IS NULL OR e.platform = $platform)
        AND ($strategy IS NULL OR e.strategy = $strategy)
        AND ($engine IS NULL OR e.engine = $engine)
        AND ($after_time IS NULL OR e.end_time > $after_time)
        AND ($with_unvalidated OR v.execution_id IS NOT NULL)
    ORDER BY e.recorded_time DESC, e.rowid DESC
    LIMIT $max_record_count
)
SELECT c.execution_id, count(r.execution_id)
FROM chosen AS c LEFT JOIN runs AS r USING (execution_id)
GROUP BY c.execution_id, c.recorded_time, c.place
ORDER BY c.recorded_time, c.place
"""

# A validation's prediction may have come later than the execution's record.
_RECORDS = """
WITH wanted AS (
    SELECT unnest($ids::VARCHAR[]) AS execution_id, unnest(range(len($ids::VARCHAR[]))) AS place
), measured_runs AS (
    SELECT
        execution_id,
        list(
            row(
                model_name, batch_size, lane_width, concurrency, run_time_ms,
                stage, run, iteration, replica, engine
            )
            ORDER BY run_index
        ) AS measured
    FROM runs SEMI JOIN wanted USING (execution_id)
    GROUP BY execution_id
)
SELECT
    e.execution_id, e.end_time, e.model_configs, e.iterations, e.platform, e.strategy, e.optimization_goal,
    e.strategy_chosen, e.engine, e.adapter, e.plan, coalesce(v.predictor_version, e.predictor_version),
    e.queue_time_ms, e.load_time_ms, e.core_count, e.explored,
    coalesce(v.predicted_latency, e.predicted_latency_ms),
    coalesce(v.predicted_throughput, e.predicted_throughput_items_per_second),
    coalesce(v.predicted_memory, e.predicted_memory_mb),
    e.measured_latency_ms, e.measured_throughput_items_per_second, e.measured_memory_mb,
    v.execution_id IS NOT NULL, v.latency_error, v.throughput_error, v.memory_error,
    r.measured
FROM wanted AS w
JOIN executions AS e USING (execution_id)
LEFT JOIN multi_model_validation_metrics AS v USING (execution_id)
LEFT JOIN measured_runs AS r USING (execution_id)
ORDER BY w.place
"""


def pages(cursor: duckdb.DuckDBPyConnection, query: DatasetQuery) -> list[list[str]]:
    """Ids of the selected executions in the order they were recorded, in pages for `records`."""
    after = None if query.after_time is None else query.after_time.astimezone(UTC).replace(tzinfo=None)
    given = {
        "platform": query.platform,
        "strategy": query.strategy,
        "engine": query.engine,
        "after_time": after,
        "with_unvalidated": query.with_unvalidated,
        "max_record_count": query.max_record_count,
    }
    return _paged(cursor.execute(_CHOSEN, given).fetchall())


def records(cursor: duckdb.DuckDBPyConnection, execution_ids: list[str]) -> list[ExecutionOnRecord]:
    """Everything on record of these executions, in the same order."""
    rows = cursor.execute(_RECORDS, {"ids": execution_ids}).fetchall()
    return [_record(row) for row in rows]


def _paged(counted: Iterable[tuple[str, int]]) -> list[list[str]]:
    paged: list[list[str]] = []
    run_count = 0
    for execution_id, runs in counted:
        if not paged or len(paged[-1]) == _PAGE_EXECUTIONS or run_count + runs > _PAGE_RUNS:
            paged.append([])
            run_count = 0
        paged[-1].append(execution_id)
        run_count += runs
    return paged


def _record(row: tuple[Any, ...]) -> ExecutionOnRecord:
    (
        execution_id, end_time, models, iterations, platform, strategy, goal, chosen, engine, adapter, plan, version,
        queue_time, load_time, core_count, explored, *figures, validated, latency, throughput, memory, runs,
    ) = row  # fmt: skip
    predicted = None if figures[0] is None else Performance(*figures[:3])
    measured = Performance(*figures[3:])
    execution = Execution(
        execution_id=execution_id,
        end_time=_aware(end_time),
        workload=Workload(tuple(Model(**model) for model in json.loads(models)), iterations),
        platform=platform,
        strategy=strategy,
        goal=goal,
        strategy_chosen=chosen,
        engine=engine,
        adapter=adapter,
        plan_json=plan,
        predictor_version=version,
        predicted=predicted,
        measured=measured,
        runs=tuple(Run(*run) for run in runs or ()),
        queue_time_ms=queue_time,
        load_time_ms=load_time,
        core_count=core_count,
        explored=bool(explored),
    )
    if not validated or predicted is None:
        return ExecutionOnRecord(execution, None, None)
    return ExecutionOnRecord(execution, ErrorRates(latency, throughput, memory), signed_errors(predicted, measured))


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
