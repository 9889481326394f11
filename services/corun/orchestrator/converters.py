"""Messages to the orchestrator's own terms and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from corun.errors import InvalidField
from corun.orchestrator.core.adaptation import Measured
from corun.orchestrator.core.cautions import Fallback
from corun.orchestrator.core.configuration import Configuration
from corun.orchestrator.core.exploration import Interval
from corun.orchestrator.core.observations import Observation, Profile, Run, Setting
from corun.orchestrator.core.requirements import AskedModel, Engine
from corun.orchestrator.core.significance import PairedDifference
from corun.orchestrator.core.terms import Figures, Goal, Strategy
from corun.orchestrator.core.validation import ValidationPolicy
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.validation.error_rates import error_rates, signed_errors
from corun.validation.messages import judgement_message


def strategy_of(value: core_pb2.Strategy.ValueType) -> Strategy:
    """Raises ValueError for the unspecified one."""
    return Strategy(core_pb2.Strategy.Name(value).removeprefix("STRATEGY_").lower())


def strategy_message(strategy: Strategy) -> core_pb2.Strategy.ValueType:
    """The enum value of a strategy."""
    return core_pb2.Strategy.Value(f"STRATEGY_{strategy.upper()}")


def goal_of(value: core_pb2.OptimizationGoal.ValueType) -> Goal:
    """Unspecified is latency."""
    if value == core_pb2.OPTIMIZATION_GOAL_UNSPECIFIED:
        return Goal.LATENCY
    return Goal(core_pb2.OptimizationGoal.Name(value).removeprefix("OPTIMIZATION_GOAL_").lower())


def goal_message(goal: Goal) -> core_pb2.OptimizationGoal.ValueType:
    """The enum value of a goal."""
    return core_pb2.OptimizationGoal.Value(f"OPTIMIZATION_GOAL_{goal.upper()}")


def policy_of(
    message: orchestrator_pb2.ValidationPolicy, *, interval: int, error_threshold: float | None
) -> ValidationPolicy:
    """The caller's policy, with the service's settings where it is silent."""
    return ValidationPolicy(
        interval=message.interval if message.HasField("interval") else interval,
        disabled=message.disabled,
        error_threshold=message.error_threshold if message.HasField("error_threshold") else error_threshold,
    )


def asked_models(workload: core_pb2.Workload) -> list[AskedModel]:
    """The workload's models, in order."""
    return [AskedModel(model.model_name, model.model_type) for model in workload.models]


def engine_of(message: pool_pb2.EngineCapability) -> Engine:
    """What the pool found an engine to do."""
    return Engine(
        name=message.engine,
        available=message.available,
        detail=message.detail,
        supported=frozenset(platform_name(each.platform) for each in message.platforms if each.supported),
        problems={platform_name(each.platform): each.detail for each in message.platforms if not each.supported},
    )


def figures_of(performance: core_pb2.Performance) -> Figures:
    """Measured figures."""
    return Figures(performance.latency_ms, performance.throughput_items_per_second, performance.memory_mb)


def predicted_figures(prediction: predictor_pb2.StrategyPrediction) -> Figures:
    """The most likely values of a prediction."""
    return Figures(
        prediction.latency_ms.value, prediction.throughput_items_per_second.value, prediction.memory_mb.value
    )


def predicted_interval(prediction: predictor_pb2.StrategyPrediction, goal: Goal) -> Interval:
    """Where the figure that a goal is about is expected."""
    estimate = {
        Goal.LATENCY: prediction.latency_ms,
        Goal.THROUGHPUT: prediction.throughput_items_per_second,
        Goal.MEMORY: prediction.memory_mb,
    }[goal]
    return Interval(estimate.low, estimate.high)


def performance_message(figures: Figures) -> core_pb2.Performance:
    """Measured figures for clients."""
    return core_pb2.Performance(
        latency_ms=figures.latency_ms,
        throughput_items_per_second=figures.throughput_items_per_second,
        memory_mb=figures.memory_mb,
    )


def recorded_performance(figures: Figures) -> validator_pb2.RecordedPerformance:
    """Figures for the validator, which knows no negative memory: a peak below the idle size is 0."""
    return validator_pb2.RecordedPerformance(
        latency_ms=figures.latency_ms,
        throughput_items_per_second=figures.throughput_items_per_second,
        memory_mb=max(0.0, figures.memory_mb),
    )


def judgement_of(
    record: validator_pb2.ExecutionRecord, *, error_threshold: float
) -> validator_pb2.ValidatePredictionResponse | None:
    """How the validator will judge a record with a prediction, without the count of its validations; None where it will
    refuse."""
    try:
        errors = error_rates(record.predicted, record.measured)
    except InvalidField:
        return None
    bias = signed_errors(record.predicted, record.measured)
    return judgement_message(errors, bias, error_threshold=error_threshold)


def runs_of(measurement: pool_pb2.Measurement) -> list[Run]:
    """Every measured run; one that does not say where it ran, ran in the measurement's engine."""
    others = other_programs_cores_of(measurement)
    return [
        Run(
            run.model_name,
            run.batch_size,
            run.lane_width,
            run.concurrency,
            run.run_time_ms,
            run.engine or measurement.engine,
            others,
        )
        for run in measurement.runs
    ]


def other_programs_cores_of(measured: pool_pb2.Measurement | pool_pb2.ModelProfile) -> float | None:
    """Cores that other programs used meanwhile; None where that was not measured."""
    return measured.other_programs_cores if measured.HasField("other_programs_cores") else None


def fallbacks_of(measurement: pool_pb2.Measurement) -> list[Fallback]:
    """Preferred engines that could not serve."""
    return [Fallback(each.model_type, each.preferred, each.used, each.reason) for each in measurement.fallbacks]


def profile_of(message: pool_pb2.ModelProfile) -> Profile:
    """A setting as it was profiled."""
    setting = Setting(message.setting.batch_size, message.setting.lane_width)
    return Profile(
        setting, tuple(message.run_times_ms), message.memory_mb, message.load_time_ms, other_programs_cores_of(message)
    )


def suggestions_of(response: predictor_pb2.PredictResponse) -> list[tuple[str, Setting]]:
    """What the predictor asks to be profiled."""
    return [(each.model_name, Setting(each.batch_size, each.lane_width)) for each in response.suggested_profiles]


def observation_messages(observations: Iterable[Observation]) -> list[predictor_pb2.Observation]:
    """Observations for the predictor."""
    return [
        predictor_pb2.Observation(
            model_name=each.model_name,
            batch_size=each.setting.batch_size,
            lane_width=each.setting.lane_width,
            run_time_ms=each.run_time_ms,
            memory_mb=each.memory_mb,
            load_time_ms=each.load_time_ms,
            other_programs_cores=each.other_programs_cores,
        )
        for each in observations
    ]


def configuration_message(configuration: Configuration) -> predictor_pb2.StrategyConfiguration:
    """Bounds of the choice, for the predictor and for clients."""
    return predictor_pb2.StrategyConfiguration(
        parallel_threshold=configuration.parallel_threshold,
        sequential_threshold=configuration.sequential_threshold,
        batching_size=configuration.batching_size,
        memory_threshold_mb=configuration.memory_threshold_mb,
    )


def configuration_of(message: predictor_pb2.StrategyConfiguration, *, otherwise: Configuration) -> Configuration:
    """The caller's bounds, field by field over those that hold otherwise."""
    return replace(otherwise, **given_values(message))


def given_values(message: predictor_pb2.StrategyConfiguration) -> dict[str, Any]:
    """The bounds that a message has, by the names of its fields."""
    return {field.name: value for field, value in message.ListFields()}


def measured_of(record: validator_pb2.ExecutionRecord) -> Measured:
    """An execution on record, as evidence of what choices are worth."""
    asked = record.workload
    models = tuple((model.model_name, model.batch_size) for model in asked.models)
    groups = [sum(len(run.members) for run in stage.runs) for stage in record.plan.stages]
    return Measured(
        workload=(models, asked.iterations, record.goal, record.engine, record.core_count),
        model_count=len(models),
        goal=goal_of(record.goal),
        strategy=strategy_of(record.strategy),
        group_size=max(groups, default=0),
        predicted=_recorded_figures(record.predicted) if record.HasField("predicted") else None,
        measured=_recorded_figures(record.measured),
    )


def _recorded_figures(performance: validator_pb2.RecordedPerformance) -> Figures:
    return Figures(performance.latency_ms, performance.throughput_items_per_second, performance.memory_mb)


def difference_message(difference: PairedDifference) -> orchestrator_pb2.PairedDifference:
    """How far a strategy is behind the best, for clients."""
    return orchestrator_pb2.PairedDifference(
        mean=difference.mean,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
        round_count=difference.round_count,
    )
