"""Shapes of what the client gives back: plain dicts with the guide's keys.

Latencies and times are milliseconds, throughput items per second, memory megabytes (10^6 bytes).
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from corun_client.conversion.executions import MemberOutputReport
from corun_client.conversion.fallbacks import FallbackReport
from corun_client.conversion.validation_reports import HistoryPoint, RefinementReport, TrendReport


class ModelRun(TypedDict):
    """A model as it was run."""

    model_name: str
    model_type: str
    batch_size: int
    weights_origin: str
    source: str


class RunReport(TypedDict):
    """One run inside its lane. `boundary_bytes` of tensors crossed the page boundary for it, in and out."""

    iteration: int
    stage: int
    run: int
    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    run_time_ms: float
    replica: int
    engine: str
    connection_id: str
    boundary_bytes: int


class UsedLane(TypedDict):
    """A lane as it was at the end; memory in megabytes."""

    lane: int
    replica: int
    connection_id: str
    engine: str
    adapter: str
    software_adapter: bool
    width: int
    wasm_memory_mb: float
    model_names: list[str]


class ExecutionReport(TypedDict):
    """What execute gives back. `intervals` are [low, high], meant to hold nine measurements out of ten; there are none,
    and predictions are None, where the predictor did not answer: `degraded` names the services that were done without.
    `queue_time_ms` is all waiting for a browser. `record_queued`: not on the validator's record yet, but on disk for
    it; executions do not wait for the record, unless the validator's own threshold is needed to judge them.

    `engine` and `adapter` are those of the first lane; `lanes` and `runs` say where each model ran, `fallbacks`
    which preferred browsers could not serve. `other_programs_cores` is what anything but the plan's browsers used of
    the cores while it ran; None where it was too short to tell.
    """

    success: bool
    execution_id: str
    execution_strategy: str
    recommended_strategy: str
    strategy_reason: str
    strategy_automatic: bool
    strategy_explored: bool
    hardware_platform: str
    optimization_goal: str
    predicted_latency: float | None
    predicted_throughput: float | None
    predicted_memory: float | None
    actual_latency: float
    actual_throughput: float
    actual_memory: float
    intervals: dict[str, list[float]]
    predictor_version: str
    engine: str
    adapter: str
    software_adapter: bool
    models: list[ModelRun]
    queue_time_ms: float
    load_time_ms: float
    warmup_time_ms: float
    iteration_latencies_ms: list[float]
    retry_count: int
    other_programs_cores: float | None
    validated: bool
    error_rates: NotRequired[dict[str, float]]
    recorded: bool
    record_queued: bool
    degraded: list[str]
    warnings: list[str]
    fallbacks: list[FallbackReport]
    boundary_bytes: int
    lanes: list[UsedLane]
    runs: list[RunReport]
    outputs: NotRequired[list[MemberOutputReport]]


class Figures(TypedDict):
    """Measured figures."""

    latency: float
    throughput: float
    memory: float


class StatusReport(TypedDict):
    """Why a strategy failed."""

    code: str
    reason: str
    message: str


class DifferenceReport(TypedDict):
    """How far a strategy is behind the best, as a fraction, by a paired t-test on rounds; `interval` holds the true
    difference with 95 % confidence."""

    mean: float
    interval: list[float]
    p_value: float


class StrategyReport(TypedDict, total=False):
    """One strategy of a comparison: medians over its rounds, or `error` where it failed."""

    latency: float
    throughput: float
    memory: float
    noise: float
    rounds: list[Figures]
    predicted_latency: float
    predicted_throughput: float
    predicted_memory: float
    intervals: dict[str, list[float]]
    engine: str
    adapter: str
    lanes: list[UsedLane]
    fallbacks: list[FallbackReport]
    behind: DifferenceReport
    error: StatusReport


class ComparisonReport(TypedDict):
    """What compare gives back. `recommendation_accuracy` is 1.0 when the recommended one was best or tied."""

    success: bool
    comparison_id: str
    hardware_platform: str
    optimization_goal: str
    best_strategy: str
    recommended_strategy: str
    recommendation_accuracy: float
    tied_strategies: list[str]
    optimization_impact: dict[str, float]
    strategy_results: dict[str, StrategyReport]
    models: list[ModelRun]
    round_count: int
    rounds_reason: str
    recorded: bool
    record_queued: bool
    degraded: list[str]
    warnings: list[str]


class MetricsReport(TypedDict):
    """What metrics gives back. Errors are fractions (0.15 is 15 %); what is not known yet is absent.

    `error_rates` has `avg_`, `recent_` and `earlier_` (as many validations before the recent ones) for each figure,
    `error_bias` signed means: above 0 where too much was predicted. Trends are by figure: latency, throughput, memory;
    those of platforms have drifts.
    """

    validation_count: int
    execution_count: int
    error_rates: NotRequired[dict[str, float]]
    error_bias: NotRequired[dict[str, float]]
    error_trends: NotRequired[dict[str, TrendReport]]
    platform_trends: NotRequired[dict[str, dict[str, TrendReport]]]
    strategy_trends: NotRequired[dict[str, dict[str, TrendReport]]]
    platform_metrics: dict[str, dict[str, float]]
    strategy_metrics: dict[str, dict[str, float]]
    optimization_impact: NotRequired[dict[str, float]]
    strategy_distribution: dict[str, int]
    error_threshold: float
    database_path: str
    history: NotRequired[list[HistoryPoint]]
    refinements: NotRequired[list[RefinementReport]]
