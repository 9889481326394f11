"""The statements that sum up. Each runs inside a transaction of the caller's, so that its figures are of one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np

from corun.validator.core.history import FIGURES
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact, Selection
from corun.validator.core.overview import with_movements
from corun.validator.core.summary import Part, summary
from corun.validator.history_reads import SIGNED_ERRORS, newest, refinements
from corun.validator.validation_reads import newest_validations

# One pass over the table; the heap of max keeps the newest, where a window function would sort.
_PARTS = f"""
SELECT
    platform, strategy, count(*),
    {", ".join(f"count({figure}_error)" for figure in FIGURES)},
    {", ".join(f"coalesce(sum({figure}_error), 0)" for figure in FIGURES)},
    {", ".join(f"coalesce(sum({each}_error) FILTER (predicted_{each} < actual_{each}), 0)" for each in FIGURES)},
    max(validation_number, $newest_count)
FROM multi_model_validation_metrics
WHERE ($platform IS NULL OR platform = $platform) AND ($strategy IS NULL OR strategy = $strategy)
GROUP BY platform, strategy
"""

# By their numbers, which lie close together: a heap of the errors themselves would triple the time of the pass.
_NUMBERED = f"""
SELECT validation_number, {", ".join(SIGNED_ERRORS)}
FROM multi_model_validation_metrics
WHERE validation_number IN (SELECT unnest($numbers::BIGINT[]))
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
    parts = _parts(cursor, chosen, newest_count=2 * selection.recent_count)
    found = Metrics(
        execution_count=_count(cursor, _EXECUTIONS, chosen),
        overall=summary(parts, recent_count=selection.recent_count),
        by_platform=_grouped(parts, lambda part: part.platform, selection.recent_count),
        by_strategy=_grouped(parts, lambda part: part.strategy, selection.recent_count),
        impact=_impact(cursor, chosen),
    )
    if selection.with_history:
        validations = newest_validations(cursor, **chosen, count=selection.history_size)
        found = replace(found, history=validations, refinements=refinements(cursor, platform=selection.platform))
    if selection.with_trends:
        history = newest(cursor, **chosen, count=selection.history_size)
        found = with_movements(found, history, history_size=selection.history_size)
    return found


def count_rows(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table of ours."""
    return _count(cursor, f"SELECT count(*) FROM {table}", {})


def _parts(cursor: duckdb.DuckDBPyConnection, chosen: dict[str, Any], *, newest_count: int) -> list[Part]:
    rows = cursor.execute(_PARTS, {**chosen, "newest_count": newest_count}).fetchall()
    numbers = [number for row in rows for number in row[-1]]
    signed = {row[0]: row[1:] for row in cursor.execute(_NUMBERED, {"numbers": numbers}).fetchall()}
    return [_part(row, signed) for row in rows]


def _part(row: tuple[Any, ...], signed: Mapping[int, tuple[float | None, ...]]) -> Part:
    platform, strategy, validation_count, *sums, numbers = row
    counts, errors, too_low = (np.array(sums[start : start + 3], dtype=np.float64) for start in (0, 3, 6))
    return Part(
        platform=platform,
        strategy=strategy,
        validation_count=validation_count,
        counts=counts,
        error_sums=errors,
        signed_sums=errors - 2 * too_low,
        newest_numbers=np.array(numbers),
        newest=np.array([signed[number] for number in numbers], dtype=np.float64),
    )


def _grouped(parts: Sequence[Part], name: Callable[[Part], str], recent_count: int) -> dict[str, ErrorSummary]:
    return {
        each: summary([part for part in parts if name(part) == each], recent_count=recent_count)
        for each in sorted(set(map(name, parts)))
    }


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
