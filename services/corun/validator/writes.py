"""The statements that write single records. Each runs inside a transaction of the caller's."""

from __future__ import annotations

import json

import duckdb

from corun.validator.core.identity import ComparisonConflict, comparison_digest
from corun.validator.core.records import Comparison, Performance
from corun.validator.rows import insert_rows, utc, workload_columns


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
    row: dict[str, object] = {
        "comparison_id": comparison.comparison_id,
        "timestamp": utc(None),
        **workload_columns(comparison.workload),
        "platform": comparison.platform,
        "optimization_goal": comparison.goal,
        "recommended_strategy": comparison.recommended,
        "best_strategy": comparison.best,
        "recommendation_correct": comparison.recommendation_correct,
        "improvement_percent": comparison.improvement_percent,
        "strategy_results": json.dumps({name: _guide_figures(each) for name, each in comparison.outcomes.items()}),
        "content_sha256": digest,
    }
    insert_rows(cursor, "multi_model_optimization_impact", [row])


def _guide_figures(performance: Performance) -> dict[str, float]:
    return {
        "latency": performance.latency_ms,
        "throughput": performance.throughput_items_per_second,
        "memory": performance.memory_mb,
    }
