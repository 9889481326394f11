"""What the report shows, as the record has it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corun_client.async_client import AsyncClient
    from corun_client.conversion.validation_reports import TrendReport

FIGURES = ("latency", "throughput", "memory")
# Points that are drawn one by one; of more, the newest.
MAX_POINTS = 3_000
_MAX_LINES = 50

_POINTS = f"""
SELECT validation_number, timestamp, platform, strategy, model_count,
    predicted_latency, actual_latency, latency_error,
    predicted_throughput, actual_throughput, throughput_error,
    predicted_memory, actual_memory, memory_error
FROM multi_model_validation_metrics ORDER BY validation_number DESC LIMIT {MAX_POINTS}
"""
_GROUPS = """
SELECT coalesce(platform, 'all') AS platform, coalesce(strategy, 'all') AS strategy, count(*) AS count,
    avg(latency_error) AS latency, avg(throughput_error) AS throughput, avg(memory_error) AS memory
FROM multi_model_validation_metrics
GROUP BY GROUPING SETS ((), (platform, strategy)) ORDER BY count DESC, platform, strategy
"""
_COMPARISONS = f"""
SELECT timestamp, platform, optimization_goal AS goal, model_configs, recommended_strategy AS recommended,
    best_strategy AS best, recommendation_correct AS correct, improvement_percent AS improvement, strategy_results
FROM multi_model_optimization_impact ORDER BY timestamp DESC LIMIT {_MAX_LINES}
"""
_IMPACT = """
SELECT count(*) AS count, avg(recommendation_correct::INTEGER) AS accuracy, avg(improvement_percent) AS improvement
FROM multi_model_optimization_impact
"""
_REFINEMENTS = f"SELECT * FROM model_refinements ORDER BY refine_time DESC LIMIT {_MAX_LINES}"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReportData:
    """Figures of the report; times are UTC, errors shares of what was measured.

    Attributes:
        points: Validations, oldest first.
        groups: Mean errors by platform and strategy; the one of all is "all", "all".
        trends: Of the errors of each figure, as the validator tells them, by platform and over "all"; those that it
            does not tell are absent.
        storage: Size and wholeness of the record.
    """

    made_time: datetime
    error_threshold: float
    execution_count: int
    points: list[Row]
    groups: list[Row]
    comparisons: list[Row]
    impact: Row
    refinements: list[Row]
    storage: Any
    trends: dict[str, dict[str, TrendReport]] = field(default_factory=dict)

    @property
    def validation_count(self) -> int:
        """All validations, drawn or not."""
        return int(self.overall["count"])

    @property
    def refined_after(self) -> list[int]:
        """Numbers of the validations after which a refinement was accepted."""
        return [row["after_validation_number"] for row in self.refinements if row["accepted"]]

    def direction(self, figure: str) -> str:
        """Improving, worsening, stable, or unknown where there are too few validations or nobody looks for trends."""
        trend = self.trends.get("all", {}).get(figure)
        return "unknown" if trend is None or trend["direction"] == "insufficient_data" else trend["direction"]

    @property
    def overall(self) -> Row:
        """Mean errors over all validations."""
        return next(group for group in self.groups if group["platform"] == group["strategy"] == "all")


async def collect(client: AsyncClient) -> ReportData:
    """Asks the validator behind `client` for everything."""
    storage = await client.storage_status()
    metrics = await client.metrics(history_size=MAX_POINTS)
    points = list(reversed(await _rows(client, _POINTS)))
    comparisons = [_read_json(row) for row in await _rows(client, _COMPARISONS)]
    refinements = await _rows(client, _REFINEMENTS) if "model_refinements" in storage["row_counts"] else []
    return ReportData(
        made_time=datetime.now(UTC),
        error_threshold=metrics["error_threshold"],
        execution_count=storage["row_counts"]["executions"],
        points=points,
        groups=await _rows(client, _GROUPS),
        comparisons=comparisons,
        impact=(await _rows(client, _IMPACT))[0],
        refinements=refinements,
        storage=storage,
        trends={"all": metrics.get("error_trends", {}), **metrics.get("platform_trends", {})},
    )


async def _rows(client: AsyncClient, sql: str) -> list[Row]:
    rows: list[Row] = (await client.query(sql)).to_pylist()
    return rows


def _read_json(row: Row) -> Row:
    models = json.loads(row["model_configs"])
    words = ", ".join(f"{each['model_name']}:{each['batch_size']}" for each in models)
    return {**row, "models": words, "results": json.loads(row["strategy_results"])}
