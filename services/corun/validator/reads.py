"""The statements that sum up. Each runs inside a transaction of the caller's, so that its figures are of one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from corun.validator.core.history import FIGURES
from corun.validator.core.metrics import ErrorSummary, Metrics, OptimizationImpact, Selection
from corun.validator.core.overview import with_movements
from corun.validator.core.summary import Part, newest_of, summary
from corun.validator.database import parsed
from corun.validator.history_reads import SIGNED_ERRORS, refinements
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

# By their numbers: a heap of the errors themselves would triple the time of the pass. Mostly they are the end of the
# table, and reading all of that takes a third of the time that picking takes; so it is read while there are no more
# than ten numbers to one that is wanted.
_SINCE = f"""
SELECT validation_number, {", ".join(SIGNED_ERRORS)}
FROM multi_model_validation_metrics
WHERE validation_number >= $least
"""
_NUMBERED = f"""
SELECT validation_number, {", ".join(SIGNED_ERRORS)}
FROM multi_model_validation_metrics
WHERE validation_number IN (SELECT unnest($numbers::BIGINT[]))
"""
_MOST_NUMBERS = 10

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
    history_size = selection.history_size if selection.with_trends else 0
    parts = _parts(cursor, chosen, newest_count=max(2 * selection.recent_count, history_size))
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
        found = with_movements(found, newest_of(parts, history_size), history_size=history_size)
    return found


def count_rows(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table of ours."""
    return _count(cursor, f"SELECT count(*) FROM {table}", {})


def _parts(cursor: duckdb.DuckDBPyConnection, chosen: dict[str, Any], *, newest_count: int) -> list[Part]:
    rows = cursor.execute(parsed(cursor, _PARTS), {**chosen, "newest_count": newest_count}).fetchall()
    numbers, signed = _signed_errors(cursor, [number for row in rows for number in row[-1]])
    return [_part(row, numbers, signed) for row in rows]


def _signed_errors(
    cursor: duckdb.DuckDBPyConnection, wanted: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers of the wanted validations, and maybe of others, in ascending order, and their errors, [n, 3]."""
    if wanted and max(wanted) - min(wanted) < _MOST_NUMBERS * len(wanted):
        found = cursor.execute(parsed(cursor, _SINCE), {"least": min(wanted)})
    else:
        found = cursor.execute(parsed(cursor, _NUMBERED), {"numbers": wanted})
    columns = found.fetchnumpy().values()
    numbers, *signed = (np.ma.filled(column, np.nan) for column in columns)  # masked where there is NULL
    order = np.argsort(numbers)
    return numbers[order], np.stack(signed, axis=1)[order]


def _part(row: tuple[Any, ...], numbers: NDArray[np.int64], signed: NDArray[np.float64]) -> Part:
    """The part of a row of `_PARTS`, its errors taken from those of all validations in the order of their numbers."""
    platform, strategy, validation_count, *sums, newest = row
    counts, errors, too_low = (np.array(sums[start : start + 3], dtype=np.float64) for start in (0, 3, 6))
    return Part(
        platform=platform,
        strategy=strategy,
        validation_count=validation_count,
        counts=counts,
        error_sums=errors,
        signed_sums=errors - 2 * too_low,
        newest_numbers=np.array(newest),
        newest=signed[np.searchsorted(numbers, newest)],
    )


def _grouped(parts: Sequence[Part], name: Callable[[Part], str], recent_count: int) -> dict[str, ErrorSummary]:
    return {
        each: summary([part for part in parts if name(part) == each], recent_count=recent_count)
        for each in sorted(set(map(name, parts)))
    }


def _impact(cursor: duckdb.DuckDBPyConnection, chosen: dict[str, Any]) -> OptimizationImpact:
    row = cursor.execute(parsed(cursor, _IMPACT), chosen).fetchone()
    if row is None:
        raise duckdb.InternalException("an aggregate gave no row")
    count, improvement, accuracy, *best = row
    counts = zip(("parallel", "sequential", "batched"), best, strict=True)
    return OptimizationImpact(count, improvement, accuracy, {name: times for name, times in counts if times})


def _count(cursor: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> int:
    row = cursor.execute(parsed(cursor, query), parameters).fetchone()
    return int(row[0]) if row else 0
