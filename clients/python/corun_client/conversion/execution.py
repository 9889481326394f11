"""Results of executions and comparisons to reports."""

from __future__ import annotations

from collections.abc import Iterable

from corun.v1 import core_pb2, orchestrator_service_pb2, predictor_service_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.fallbacks import fallback_reports
from corun_client.conversion.figures import known_errors
from corun_client.conversion.names import goal_name, origin_name, platform_name, strategy_name
from corun_client.conversion.reports import (
    ComparisonReport,
    ExecutionReport,
    Figures,
    ModelRun,
    RunReport,
    StrategyReport,
    UsedLane,
)
from corun_client.failures import from_event


def execution_report(
    request: orchestrator_service_pb2.ExecuteWithStrategyRequest, result: orchestrator_service_pb2.ExecutionResult
) -> ExecutionReport:
    """The report of an execution that went well."""
    chosen, predicted, measured = result.chosen, result.predicted, result.measured
    known = result.HasField("predicted")
    report: ExecutionReport = {
        "success": True,
        "execution_id": result.execution_id,
        "execution_strategy": strategy_name(chosen.strategy),
        "recommended_strategy": strategy_name(chosen.recommended),
        "strategy_reason": chosen.reason,
        "strategy_automatic": chosen.automatic,
        "strategy_explored": chosen.explored,
        "hardware_platform": platform_name(request.platform),
        "optimization_goal": goal_name(request.goal),
        "predicted_latency": predicted.latency_ms.value if known else None,
        "predicted_throughput": predicted.throughput_items_per_second.value if known else None,
        "predicted_memory": predicted.memory_mb.value if known else None,
        "actual_latency": measured.performance.latency_ms,
        "actual_throughput": measured.performance.throughput_items_per_second,
        "actual_memory": measured.performance.memory_mb,
        "intervals": _intervals(predicted) if known else {},
        "predictor_version": chosen.prediction.predictor_version,
        "engine": measured.engine,
        "adapter": measured.adapter,
        "software_adapter": measured.software_adapter,
        "models": _models(request.workload, result.models),
        "queue_time_ms": result.queue_time_ms + measured.queue_time_ms,
        "load_time_ms": measured.load_time_ms,
        "warmup_time_ms": measured.warmup_time_ms,
        "iteration_latencies_ms": list(measured.iteration_latencies_ms),
        "retry_count": measured.retry_count,
        "other_programs_cores": measured.other_programs_cores if measured.HasField("other_programs_cores") else None,
        "validated": result.HasField("errors"),
        "recorded": result.recorded,
        "record_queued": result.record_queued,
        "degraded": list(result.degraded),
        "warnings": list(result.warnings),
        "fallbacks": fallback_reports(measured.fallbacks),
        "boundary_bytes": measured.boundary_bytes,
        "lanes": [_used_lane(lane) for lane in measured.lanes],
        "runs": [_run_report(run) for run in measured.runs],
    }
    if result.HasField("errors"):
        report["error_rates"] = known_errors(result.errors)
    return report


def _run_report(run: pool_pb2.RunMeasurement) -> RunReport:
    return {
        "iteration": run.iteration,
        "stage": run.stage,
        "run": run.run,
        "model_name": run.model_name,
        "batch_size": run.batch_size,
        "lane_width": run.lane_width,
        "concurrency": run.concurrency,
        "run_time_ms": run.run_time_ms,
        "replica": run.replica,
        "engine": run.engine,
        "connection_id": run.connection_id,
        "boundary_bytes": run.boundary_bytes,
    }


def _used_lane(lane: pool_pb2.LaneMeasurement) -> UsedLane:
    return {
        "lane": lane.lane,
        "replica": lane.replica,
        "connection_id": lane.connection_id,
        "engine": lane.engine,
        "adapter": lane.adapter,
        "software_adapter": lane.software_adapter,
        "width": lane.width,
        "wasm_memory_mb": lane.wasm_memory_mb,
        "model_names": list(lane.model_names),
    }


def comparison_report(
    request: orchestrator_service_pb2.CompareStrategiesRequest, result: orchestrator_service_pb2.ComparisonResult
) -> ComparisonReport:
    """The report of a comparison in which at least one strategy was measured."""
    return {
        "success": True,
        "comparison_id": result.comparison_id,
        "hardware_platform": platform_name(request.platform),
        "optimization_goal": goal_name(request.goal),
        "best_strategy": strategy_name(result.best),
        "recommended_strategy": strategy_name(result.recommended),
        "recommendation_accuracy": 1.0 if result.recommendation_correct else 0.0,
        "tied_strategies": [strategy_name(each) for each in result.tied],
        "optimization_impact": {"improvement_percent": result.improvement_percent},
        "strategy_results": {strategy_name(each.strategy): _strategy_report(each) for each in result.strategies},
        "models": _models(request.workload, result.models),
        "round_count": result.round_count,
        "rounds_reason": result.rounds_reason,
        "recorded": result.recorded,
        "record_queued": result.record_queued,
        "degraded": list(result.degraded),
        "warnings": list(result.warnings),
    }


def _strategy_report(compared: orchestrator_service_pb2.ComparedStrategy) -> StrategyReport:
    report: StrategyReport = {
        "engine": compared.engine,
        "adapter": compared.adapter,
        "lanes": [_used_lane(lane) for lane in compared.lanes],
        "fallbacks": fallback_reports(compared.fallbacks),
    }
    if compared.HasField("predicted"):
        report["predicted_latency"] = compared.predicted.latency_ms.value
        report["predicted_throughput"] = compared.predicted.throughput_items_per_second.value
        report["predicted_memory"] = compared.predicted.memory_mb.value
        report["intervals"] = _intervals(compared.predicted)
    if compared.HasField("measured"):
        medians = _figures(compared.measured)
        report["latency"], report["throughput"] = medians["latency"], medians["throughput"]
        report["memory"], report["noise"] = medians["memory"], compared.noise
        report["rounds"] = [_figures(each) for each in compared.rounds]
    if compared.HasField("behind"):
        behind = compared.behind
        report["behind"] = {
            "mean": behind.mean,
            "interval": [behind.low, behind.high],
            "p_value": behind.p_value,
        }
    if compared.HasField("error"):
        error = from_event(compared.error)
        report["error"] = {"code": error.code, "reason": error.reason, "message": error.message}
    return report


def _figures(performance: core_pb2.Performance) -> Figures:
    return {
        "latency": performance.latency_ms,
        "throughput": performance.throughput_items_per_second,
        "memory": performance.memory_mb,
    }


def _intervals(predicted: predictor_service_pb2.StrategyPrediction) -> dict[str, list[float]]:
    estimates = {
        "latency": predicted.latency_ms,
        "throughput": predicted.throughput_items_per_second,
        "memory": predicted.memory_mb,
    }
    return {figure: [estimate.low, estimate.high] for figure, estimate in estimates.items()}


def _models(workload: core_pb2.Workload, infos: Iterable[pool_pb2.ModelInfo]) -> list[ModelRun]:
    return [
        {
            "model_name": info.name,
            "model_type": info.model_type,
            "batch_size": config.batch_size,
            "weights_origin": origin_name(info.weights_origin),
            "source": info.source,
        }
        for config, info in zip(workload.models, infos, strict=False)
    ]
