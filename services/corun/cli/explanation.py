"""A prediction with its parts as one document; `corun explain --json` prints it."""

from __future__ import annotations

from typing import TypedDict

from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1.orchestrator_service_pb2 import ExecuteWithStrategyRequest
from corun_client.conversion.names import goal_name, platform_name, strategy_name


class EstimateReport(TypedDict):
    """A value and its interval."""

    value: float
    low: float
    high: float


class SoloReport(TypedDict):
    """A run if it had the machine to itself: milliseconds; `basis` is observed or graph."""

    model_name: str
    batch_size: int
    lane_width: int
    time_ms: EstimateReport
    basis: str
    observation_count: int


class RunReport(TypedDict):
    """A run of the plan, and the threads of its lane."""

    model_name: str
    batch_size: int
    lane_width: int


class StrategyExplanation(TypedDict):
    """What one strategy is expected to cost, and the parts: milliseconds, items per second, megabytes.

    Latency and memory are the sums of their parts times their correction factors. `loading_ms` comes before the first
    run where no lane holds the models; `shared_mb` is already off `lanes_mb`.
    """

    latency: EstimateReport
    throughput: EstimateReport
    memory: EstimateReport
    solo_ms: float
    contention_ms: float
    other_programs_ms: float
    taken_cores: float
    dispatch_ms: float
    weights_mb: float
    scratch_mb: float
    lanes_mb: float
    shared_mb: float
    correction_factor: float
    memory_correction_factor: float
    loading_ms: float
    stages: list[list[RunReport]]
    solo_times: list[SoloReport]


class Explanation(TypedDict):
    """All strategies that were asked for, the choice, and models of which only the graph is known."""

    platform: str
    engine: str
    core_count: int
    goal: str
    recommended_strategy: str
    reason: str
    tied_strategies: list[str]
    graph_only: list[str]
    predictor_version: str
    strategies: dict[str, StrategyExplanation]


def explanation(
    request: ExecuteWithStrategyRequest,
    environment: predictor_pb2.ExecutionEnvironment,
    recommendation: predictor_pb2.RecommendStrategyResponse,
) -> Explanation:
    """What the predictor said of the request's workload there; of one strategy only where the request names one."""
    predictions = recommendation.prediction.predictions
    solo_times = [solo for prediction in predictions for solo in prediction.terms.solo_times]
    graph_only = dict.fromkeys(each.model_name for each in solo_times if _basis(each) == "graph")
    return {
        "platform": platform_name(environment.platform),
        "engine": environment.engine,
        "core_count": environment.core_count,
        "goal": goal_name(request.goal),
        "recommended_strategy": strategy_name(recommendation.strategy),
        "reason": recommendation.reason,
        "tied_strategies": [strategy_name(each) for each in recommendation.tied],
        "graph_only": list(graph_only),
        "predictor_version": recommendation.prediction.predictor_version,
        "strategies": {
            strategy_name(each.strategy): _strategy(each)
            for each in predictions
            if request.strategy in (core_pb2.STRATEGY_UNSPECIFIED, each.strategy)
        },
    }


def _strategy(prediction: predictor_pb2.StrategyPrediction) -> StrategyExplanation:
    terms, widths = prediction.terms, prediction.plan.lane_widths
    return {
        "latency": _estimate(prediction.latency_ms),
        "throughput": _estimate(prediction.throughput_items_per_second),
        "memory": _estimate(prediction.memory_mb),
        "solo_ms": terms.solo_ms,
        "contention_ms": terms.contention_ms,
        "other_programs_ms": terms.other_programs_ms,
        "taken_cores": terms.taken_cores,
        "dispatch_ms": terms.dispatch_ms,
        "weights_mb": terms.weights_mb,
        "scratch_mb": terms.scratch_mb,
        "lanes_mb": terms.lanes_mb,
        "shared_mb": terms.shared_mb,
        "correction_factor": terms.correction_factor,
        "memory_correction_factor": terms.memory_correction_factor,
        "loading_ms": terms.loading_ms,
        "stages": [
            [
                {"model_name": run.model_name, "batch_size": run.batch_size, "lane_width": widths[run.lane]}
                for run in stage.runs
            ]
            for stage in prediction.plan.stages
        ],
        "solo_times": [_solo(each) for each in terms.solo_times],
    }


def _solo(solo: predictor_pb2.SoloTime) -> SoloReport:
    return {
        "model_name": solo.model_name,
        "batch_size": solo.batch_size,
        "lane_width": solo.lane_width,
        "time_ms": _estimate(solo.time_ms),
        "basis": _basis(solo),
        "observation_count": solo.observation_count,
    }


def _basis(solo: predictor_pb2.SoloTime) -> str:
    return "graph" if solo.basis == predictor_pb2.SOLO_BASIS_GRAPH else "observed"


def _estimate(estimate: core_pb2.Estimate) -> EstimateReport:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
