"""The newest validations one by one. Runs inside a transaction of the caller's."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import duckdb

from corun.validation.error_rates import ErrorRates, signed_errors
from corun.validator.core.history import Validation
from corun.validator.core.records import Performance
from corun.validator.database import parsed
from corun.validator.history_reads import PLATFORMS

_NEWEST = """
SELECT
    validation_number, execution_id, timestamp, platform, strategy, predictor_version,
    predicted_latency, predicted_throughput, predicted_memory,
    actual_latency, actual_throughput, actual_memory,
    latency_error, throughput_error, memory_error
FROM multi_model_validation_metrics
WHERE platform = $platform AND ($strategy IS NULL OR strategy = $strategy)
ORDER BY validation_number DESC
LIMIT $count
"""


def newest_validations(
    cursor: duckdb.DuckDBPyConnection, *, platform: str | None, strategy: str | None, count: int
) -> list[Validation]:
    """The newest `count` validations of each selected platform, in the order they were recorded."""
    found = [
        _validation(row)
        for each in (PLATFORMS if platform is None else (platform,))
        for row in cursor.execute(
            parsed(cursor, _NEWEST), {"platform": each, "strategy": strategy, "count": count}
        ).fetchall()
    ]
    return sorted(found, key=lambda validation: validation.number)


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
