"""The statements that sum up. Each runs inside a transaction of the caller's, so that its figures are of one moment."""

from __future__ import annotations

from typing import Any

import duckdb

from corun.validator.core.error_rates import ErrorRates
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact, Selection

# arg_max with a count keeps the newest in a heap: no window function has to sort the table.
_SUMMARIES = """
WITH groups AS (
    SELECT
        CASE WHEN grouping(platform) = 0 THEN 'platform' WHEN grouping(strategy) = 0 THEN 'strategy' ELSE 'all' END
            AS kind,
        coalesce(platform, strategy, '') AS name,
        count(*) AS validation_count,
        avg(latency_error) AS latency, avg(throughput_error) AS throughput, avg(memory_error) AS memory,
        coalesce(arg_max(
            {'latency': latency_error, 'throughput': throughput_error, 'memory': memory_error},
            validation_number,
            $recent_count
        ), []) AS newest
    FROM multi_model_validation_metrics
    WHERE ($platform IS NULL OR platform = $platform) AND ($strategy IS NULL OR strategy = $strategy)
    GROUP BY GROUPING SETS ((), (platform), (strategy))
)
SELECT
    kind, name, validation_count, latency, throughput, memory,
    list_avg(list_transform(newest, lambda each: each.latency)),
    list_avg(list_transform(newest, lambda each: each.throughput)),
    list_avg(list_transform(newest, lambda each: each.memory))
FROM groups
ORDER BY kind, name
"""

_EXECUTIONS = """
SELECT count(*) FROM executions
WHERE ($platform IS NULL OR platform = $platform) AND ($strategy IS NULL OR strategy = $strategy)
"""

_IMPACT = """
SELECT
    count(*), avg(improvement_percent), avg(recommendation_correct::INTEGER),
    count(*) FILTER (best_strategy = 'parallel'),
    count(*) FILTER (best_strategy = 'sequential'),
    count(*) FILTER (best_strategy = 'batched')
FROM multi_model_optimization_impact
WHERE ($platform IS NULL OR platform = $platform) AND ($strategy IS NULL OR recommended_strategy = $strategy)
"""


def metrics(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Metrics:
    """Errors and impact of the selected records."""
    chosen: dict[str, Any] = {"platform": selection.platform, "strategy": selection.strategy}
    groups = cursor.execute(_SUMMARIES, {**chosen, "recent_count": selection.recent_count}).fetchall()
    summaries: dict[str, dict[str, ErrorSummary]] = {"all": {}, "platform": {}, "strategy": {}}
    for kind, name, count, *rates in groups:
        summaries[kind][name] = ErrorSummary(count, ErrorRates(*rates[:3]), ErrorRates(*rates[3:]))
    return Metrics(
        execution_count=_count(cursor, _EXECUTIONS, chosen),
        overall=summaries["all"][""],
        by_platform=summaries["platform"],
        by_strategy=summaries["strategy"],
        impact=_impact(cursor, chosen),
    )


def count_rows(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table of ours."""
    return _count(cursor, f"SELECT count(*) FROM {table}", {})


def _impact(cursor: duckdb.DuckDBPyConnection, chosen: dict[str, Any]) -> OptimizationImpact:
    row = cursor.execute(_IMPACT, chosen).fetchone()
    if row is None:
        raise duckdb.InternalException("an aggregate gave no row")
    count, improvement, accuracy, *best = row
    counts = zip(("parallel", "sequential", "batched"), best, strict=True)
    return OptimizationImpact(count, improvement, accuracy, {name: times for name, times in counts if times})


def _count(cursor: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> int:
    row = cursor.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0
