"""The newest validations, and what is on record of refinements. Each runs inside a transaction of the caller's."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import duckdb

from corun.validator.core.error_rates import ErrorRates, signed_errors
from corun.validator.core.findings import Evidence
from corun.validator.core.history import Validation
from corun.validator.core.records import Performance
from corun.validator.core.refinement import Method, Refinement

_PLATFORMS = ("wasm", "webgpu", "webnn")

# One platform at a time: each is a scan that keeps the newest few, where a window function would sort the table.
_NEWEST = """
SELECT
    validation_number, execution_id, timestamp, platform, strategy, predictor_version,
    predicted_latency, predicted_throughput, predicted_memory,
    actual_latency, actual_throughput, actual_memory,
    latency_error, throughput_error, memory_error
FROM multi_model_validation_metrics
WHERE platform = $platform AND ($strategy IS NULL OR strategy = $strategy) AND validation_number > $after
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

_LAST_ATTEMPTS = """
SELECT
    coalesce(max(after_validation_number) FILTER (accepted), 0), coalesce(max(after_validation_number), 0)
FROM model_refinements
WHERE platform IS NULL OR platform = $platform
"""

_COUNT_AFTER = """
SELECT count(*) FROM multi_model_validation_metrics WHERE platform = $platform AND validation_number > $after
"""


def newest(
    cursor: duckdb.DuckDBPyConnection, *, platform: str | None, strategy: str | None, count: int
) -> list[Validation]:
    """The newest `count` validations of each selected platform, oldest first."""
    found = [
        validation
        for each in (_PLATFORMS if platform is None else (platform,))
        for validation in _newest(cursor, platform=each, strategy=strategy, count=count, after=0)
    ]
    return sorted(found, key=lambda validation: validation.number)


def refinements(cursor: duckdb.DuckDBPyConnection, *, platform: str | None) -> list[Refinement]:
    """Every refinement that touched the platform (None: any), in the order they were recorded."""
    return [_refinement(row) for row in cursor.execute(_REFINEMENTS, {"platform": platform}).fetchall()]


def evidence(cursor: duckdb.DuckDBPyConnection, *, platform: str | None, history_size: int) -> dict[str, Evidence]:
    """By platform that has validations: the newest since its last accepted refinement, and how many since its last."""
    found = {}
    for each in _PLATFORMS if platform is None else (platform,):
        row = cursor.execute(_LAST_ATTEMPTS, {"platform": each}).fetchone()
        accepted, attempted = row or (0, 0)
        history = _newest(cursor, platform=each, strategy=None, count=history_size, after=accepted)
        since = cursor.execute(_COUNT_AFTER, {"platform": each, "after": attempted}).fetchone()
        if history or attempted:
            found[each] = Evidence(sorted(history, key=lambda validation: validation.number), since[0] if since else 0)
    return found


def _newest(
    cursor: duckdb.DuckDBPyConnection, *, platform: str, strategy: str | None, count: int, after: int
) -> list[Validation]:
    given = {"platform": platform, "strategy": strategy, "count": count, "after": after}
    return [_validation(row) for row in cursor.execute(_NEWEST, given).fetchall()]


def _validation(row: tuple[Any, ...]) -> Validation:
    number, execution_id, timestamp, platform, strategy, version, *figures = row
    predicted, measured = Performance(*figures[:3]), Performance(*figures[3:6])
    return Validation(
        number=number,
        execution_id=execution_id,
        end_time=timestamp.replace(tzinfo=UTC),
        platform=platform,
        strategy=strategy,
        predictor_version=version,
        predicted=predicted,
        measured=measured,
        errors=ErrorRates(*figures[6:]),
        bias=signed_errors(predicted, measured),
    )


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
