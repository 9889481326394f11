"""Errors of the newest validations, and refinements. Each runs inside a transaction of the caller's."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import duckdb

from corun.validation.error_rates import ErrorRates
from corun.validator.core.findings import Evidence
from corun.validator.core.history import FIGURES, History
from corun.validator.core.refinement import Method, Refinement
from corun.validator.database import parsed

PLATFORMS = ("wasm", "webgpu", "webnn")

# In the order of core.history.FIGURES; NULL where a figure has no error.
SIGNED_ERRORS = tuple(
    f"CASE WHEN predicted_{figure} < actual_{figure} THEN -{figure}_error ELSE {figure}_error END" for figure in FIGURES
)

# One platform at a time: each is a scan that keeps the newest few, where a window function would sort the table.
_NEWEST = f"""
SELECT platform, strategy, {", ".join(SIGNED_ERRORS)}
FROM multi_model_validation_metrics
WHERE platform = $platform AND validation_number > $after
ORDER BY validation_number DESC
LIMIT $count
"""

_REFINEMENTS = """
SELECT
    refinement_id, platform, method,
    latency_error_before, throughput_error_before, memory_error_before,
    latency_error_after, throughput_error_after, memory_error_after,
    accepted, record_count, held_out_count, predictor_version_before, predictor_version_after, reason, refine_time
FROM model_refinements
WHERE $platform IS NULL OR platform IS NULL OR platform = $platform
ORDER BY after_validation_number, refine_time, refinement_id
"""

# By platform; NULL stands for attempts that were made on all.
_LAST_ATTEMPTS = """
SELECT
    platform, coalesce(max(after_validation_number) FILTER (accepted), 0), coalesce(max(after_validation_number), 0)
FROM model_refinements
GROUP BY platform
"""

_COUNT_AFTER = """
SELECT count(*) FROM multi_model_validation_metrics WHERE platform = $platform AND validation_number > $after
"""


def refinements(cursor: duckdb.DuckDBPyConnection, *, platform: str | None) -> list[Refinement]:
    """Every refinement that touched the platform (None: any), in the order they were recorded."""
    return [_refinement(row) for row in cursor.execute(parsed(cursor, _REFINEMENTS), {"platform": platform}).fetchall()]


def evidence(cursor: duckdb.DuckDBPyConnection, *, platform: str | None, history_size: int) -> dict[str, Evidence]:
    """By platform that has validations: the newest since its last accepted refinement, and how many since its last."""
    found = {}
    attempts = {row[0]: row[1:] for row in cursor.execute(parsed(cursor, _LAST_ATTEMPTS)).fetchall()}
    for each in PLATFORMS if platform is None else (platform,):
        accepted, attempted = map(max, attempts.get(each, (0, 0)), attempts.get(None, (0, 0)))
        given = {"platform": each, "after": accepted, "count": history_size}
        newest = cursor.execute(parsed(cursor, _NEWEST), given).fetchall()
        since = cursor.execute(parsed(cursor, _COUNT_AFTER), {"platform": each, "after": attempted}).fetchone()
        if newest or attempted:
            found[each] = Evidence(History.of(reversed(newest)), since[0] if since else 0)
    return found


def _refinement(row: tuple[Any, ...]) -> Refinement:
    refinement_id, platform, method, *errors, accepted, record_count, held_out_count, before, after, reason, time = row
    return Refinement(
        refinement_id=refinement_id,
        platform=platform,
        method=Method(method),
        errors_before=ErrorRates(*errors[:3]),
        errors_after=ErrorRates(*errors[3:]),
        accepted=accepted,
        record_count=record_count,
        held_out_count=held_out_count,
        predictor_version_before=before,
        predictor_version_after=after,
        reason=reason,
        refine_time=time.replace(tzinfo=UTC),
    )
