"""Puts refinements on record. Runs inside a transaction of the caller's."""

from __future__ import annotations

import duckdb

from corun.validator.core.identity import RefinementConflict, refinement_digest
from corun.validator.core.refinement import Refinement
from corun.validator.rows import insert_rows, utc

_AFTER = "SELECT coalesce(max(validation_number), 0) FROM multi_model_validation_metrics"


def record_refinement(cursor: duckdb.DuckDBPyConnection, refinement: Refinement) -> bool:
    """Writes an attempt to refine the predictor; False when it was on record.

    Raises:
        RefinementConflict: when the id is on record with other figures.
    """
    digest = refinement_digest(refinement)
    known = cursor.execute(
        "SELECT content_sha256 FROM model_refinements WHERE refinement_id = ?", [refinement.refinement_id]
    ).fetchone()
    if known is not None:
        if known[0] != digest:
            raise RefinementConflict(refinement.refinement_id)
        return False
    before, after = refinement.errors_before, refinement.errors_after
    newest = cursor.execute(_AFTER).fetchone()
    row: dict[str, object] = {
        "refinement_id": refinement.refinement_id,
        "refine_time": utc(refinement.refine_time),
        "platform": refinement.platform,
        "method": refinement.method.value,
        "latency_error_before": before.latency,
        "throughput_error_before": before.throughput,
        "memory_error_before": before.memory,
        "latency_error_after": after.latency,
        "throughput_error_after": after.throughput,
        "memory_error_after": after.memory,
        "accepted": refinement.accepted,
        "record_count": refinement.record_count,
        "held_out_count": refinement.held_out_count,
        "predictor_version_before": refinement.predictor_version_before,
        "predictor_version_after": refinement.predictor_version_after,
        "reason": refinement.reason,
        "after_validation_number": newest[0] if newest else 0,
        "content_sha256": digest,
    }
    insert_rows(cursor, "model_refinements", [row])
    return True
