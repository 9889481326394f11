"""The statements that sum up. Each runs inside a transaction of the caller's, so that its figures are of one moment."""

from __future__ import annotations

from typing import Any

import duckdb

from corun.validator.core.error_rates import ErrorRates, SignedErrors
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact, Selection
from corun.validator.core.overview import with_movements
from corun.validator.history_reads import newest, refinements

_ERRORS = ("latency_error", "throughput_error", "memory_error")
_BIASES = tuple(
    f"CASE WHEN predicted_{figure} < actual_{figure} THEN -{figure}_error ELSE {figure}_error END"
    for figure in ("latency", "throughput", "memory")
)
_COLUMNS = (*_ERRORS, *_BIASES)


def _averages(of: str) -> str:
    return ", ".join(f"list_avg(list_transform({of}, lambda each: each.f{number}))" for number in range(len(_COLUMNS)))


# arg_max with a count keeps the newest in a heap: no window function has to sort the table.
_SUMMARIES = f"""
WITH groups AS (
    SELECT
        CASE WHEN grouping(platform) = 0 THEN 'platform' WHEN grouping(strategy) = 0 THEN 'strategy' ELSE 'all' END
            AS kind,
        coalesce(platform, strategy, '') AS name,
        count(*) AS validation_count,
        {", ".join(f"avg({column}) AS a{number}" for number, column in enumerate(_COLUMNS))},
        coalesce(arg_max(
            {{{", ".join(f"'f{number}': {column}" for number, column in enumerate(_COLUMNS))}}},
            validation_number,
            2 * $recent_count
        ), []) AS newest
    FROM multi_model_validation_metrics
    WHERE ($platform IS NULL OR platform = $platform) AND ($strategy IS NULL OR strategy = $strategy)
    GROUP BY GROUPING SETS ((), (platform), (strategy))
)
SELECT
    kind, name, validation_count, {", ".join(f"a{number}" for number in range(len(_COLUMNS)))},
    {_averages("newest[:$recent_count]")},
    {_averages("newest[$recent_count + 1:]")}
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
    for kind, name, count, *means in groups:
        summaries[kind][name] = ErrorSummary(
            validation_count=count,
            average=ErrorRates(*means[:3]),
            bias=SignedErrors(*means[3:6]),
            recent=ErrorRates(*means[6:9]),
            recent_bias=SignedErrors(*means[9:12]),
            earlier=ErrorRates(*means[12:15]),
        )
    looked_at = selection.with_trends or selection.with_history
    history = newest(
        cursor,
        platform=selection.platform,
        strategy=selection.strategy,
        count=selection.history_size if looked_at else 0,
    )
    found = Metrics(
        execution_count=_count(cursor, _EXECUTIONS, chosen),
        overall=summaries["all"][""],
        by_platform=summaries["platform"],
        by_strategy=summaries["strategy"],
        impact=_impact(cursor, chosen),
        history=history if selection.with_history else (),
        refinements=refinements(cursor, platform=selection.platform) if selection.with_history else (),
    )
    return with_movements(found, history, history_size=selection.history_size) if selection.with_trends else found


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
