"""Messages to what the benchmark reckons with."""

from __future__ import annotations

from collections.abc import Mapping

from corun.accuracy.core.design import Workload
from corun.accuracy.core.points import Features, Forecast, SoloRun
from corun.orchestrator.converters import predicted_figures, strategy_of
from corun.orchestrator.core.terms import Goal, Strategy
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun_client.calls import ExecutionEvent, StreamedCall, execute
from corun_client.conversion.reports import ExecutionReport


def workload_message(workload: Workload) -> core_pb2.Workload:
    """The workload as services read it."""
    models = [core_pb2.ModelConfig(model_name=name, batch_size=batch_size) for name, batch_size in workload]
    return core_pb2.Workload(models=models, iterations=1)


def execute_call(
    workload: Workload, strategy: Strategy, platform: str, preferences: Mapping[str, str]
) -> StreamedCall[ExecutionEvent, ExecutionReport]:
    """The front door's call that runs a workload once under a strategy."""
    return execute(
        models=[{"model_name": name, "batch_size": batch_size} for name, batch_size in workload],
        platform=platform,
        strategy=strategy.value,
        goal=Goal.LATENCY.value,
        iterations=1,
        validation=None,
        browser_preferences=preferences,
        timeout_seconds=None,
    )


def forecast_of(
    prediction: predictor_pb2.StrategyPrediction, workload: Workload, alone_mb: Mapping[str, float]
) -> Forecast:
    """A prediction; `alone_mb` is the memory of each model alone, by name."""
    terms = prediction.terms
    return Forecast(
        figures=predicted_figures(prediction),
        intervals={
            Goal.LATENCY: _interval(prediction.latency_ms),
            Goal.THROUGHPUT: _interval(prediction.throughput_items_per_second),
            Goal.MEMORY: _interval(prediction.memory_mb),
        },
        features=Features(
            strategy=strategy_of(prediction.strategy),
            runs=tuple(
                SoloRun(each.model_name, each.batch_size, each.lane_width, each.time_ms.value)
                for each in terms.solo_times
            ),
            longest_ms=terms.solo_ms,
            item_count=sum(batch_size for _, batch_size in workload),
            model_count=len(workload),
            alone_mb=sum(alone_mb[name] for name in {name for name, _ in workload}),
            lane_count=len(prediction.plan.lane_widths),
        ),
        terms={
            field.name: getattr(terms, field.name) for field in terms.DESCRIPTOR.fields if field.name != "solo_times"
        },
    )


def _interval(estimate: core_pb2.Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high
