"""Messages of the contract to the predictor's values and back."""

from __future__ import annotations

from collections.abc import Iterable

from corun.planning.messages import plan_message
from corun.predictor.core.eligibility import StrategyConfiguration
from corun.predictor.core.interval import Estimate
from corun.predictor.core.observation import GraphFeatures, Observation
from corun.predictor.core.prediction import Prediction, StrategyPrediction
from corun.predictor.core.solo import Basis, SoloTime
from corun.predictor.core.workload import Environment, Goal, ModelConfig, Place, Platform, Strategy, Workload
from corun.v1 import core_pb2, predictor_service_pb2

_PLATFORMS = {
    core_pb2.PLATFORM_WEBGPU: Platform.WEBGPU,
    core_pb2.PLATFORM_WEBNN: Platform.WEBNN,
    core_pb2.PLATFORM_WASM: Platform.WASM,
}
_GOALS = {
    core_pb2.OPTIMIZATION_GOAL_UNSPECIFIED: Goal.LATENCY,
    core_pb2.OPTIMIZATION_GOAL_LATENCY: Goal.LATENCY,
    core_pb2.OPTIMIZATION_GOAL_THROUGHPUT: Goal.THROUGHPUT,
    core_pb2.OPTIMIZATION_GOAL_MEMORY: Goal.MEMORY,
}
_STRATEGIES = {
    Strategy.PARALLEL: core_pb2.STRATEGY_PARALLEL,
    Strategy.SEQUENTIAL: core_pb2.STRATEGY_SEQUENTIAL,
    Strategy.BATCHED: core_pb2.STRATEGY_BATCHED,
}
_BASES = {
    Basis.OBSERVED: predictor_service_pb2.SOLO_BASIS_OBSERVED,
    Basis.GRAPH: predictor_service_pb2.SOLO_BASIS_GRAPH,
}


def workload_of(message: core_pb2.Workload) -> Workload:
    """The models; iterations change neither latency nor throughput."""
    return Workload(tuple(ModelConfig(each.model_name, each.batch_size) for each in message.models))


def environment_of(message: predictor_service_pb2.ExecutionEnvironment) -> Environment:
    """Where a workload is to run."""
    return Environment(Place(_PLATFORMS[message.platform], message.engine), message.core_count)


def features_of(messages: Iterable[predictor_service_pb2.ModelFeatures]) -> dict[str, GraphFeatures]:
    """Graphs by model name; the last one of a name counts."""
    return {
        each.model_name: GraphFeatures(
            flops_per_item=each.graph.flops_per_item,
            weight_bytes=each.graph.weight_bytes,
            activation_bytes_per_item=each.graph.activation_bytes_per_item,
            operator_count=each.graph.operator_count,
            dynamic_batch=each.graph.dynamic_batch,
        )
        for each in messages
    }


def observations_of(messages: Iterable[predictor_service_pb2.Observation]) -> tuple[Observation, ...]:
    """Measured runs."""
    return tuple(
        Observation(
            each.model_name,
            each.batch_size,
            each.lane_width,
            each.run_time_ms,
            each.memory_mb if each.HasField("memory_mb") else None,
            each.load_time_ms if each.HasField("load_time_ms") else None,
            each.other_programs_cores if each.HasField("other_programs_cores") else None,
        )
        for each in messages
    )


def goal_of(goal: core_pb2.OptimizationGoal.ValueType) -> Goal:
    """The goal; latency where none is given."""
    return _GOALS[goal]


def strategy_message(strategy: Strategy) -> core_pb2.Strategy.ValueType:
    """The enum's value."""
    return _STRATEGIES[strategy]


def configuration_of(message: predictor_service_pb2.StrategyConfiguration) -> StrategyConfiguration:
    """What bounds the choice; the batching size bounds the plans instead."""
    return StrategyConfiguration(
        parallel_threshold=message.parallel_threshold if message.HasField("parallel_threshold") else None,
        sequential_threshold=message.sequential_threshold if message.HasField("sequential_threshold") else None,
        memory_threshold_mb=message.memory_threshold_mb if message.HasField("memory_threshold_mb") else None,
    )


def platform_message(platform: Platform) -> core_pb2.Platform.ValueType:
    """The enum's value."""
    return next(message for message, each in _PLATFORMS.items() if each is platform)


def strategy_of(value: core_pb2.Strategy.ValueType) -> Strategy | None:
    """The strategy; None where it is unspecified."""
    return next((strategy for strategy, message in _STRATEGIES.items() if message == value), None)


def predict_response(prediction: Prediction, version: str) -> predictor_service_pb2.PredictResponse:
    """All strategies, with the version that predicted them."""
    return predictor_service_pb2.PredictResponse(
        predictions=[_strategy_prediction(each) for each in prediction.predictions],
        predictor_version=version,
        suggested_profiles=[
            predictor_service_pb2.ProfileSuggestion(
                model_name=each.model_name, batch_size=each.batch_size, lane_width=each.lane_width
            )
            for each in prediction.suggested_profiles
        ],
    )


def _strategy_prediction(prediction: StrategyPrediction) -> predictor_service_pb2.StrategyPrediction:
    composition = prediction.composition
    return predictor_service_pb2.StrategyPrediction(
        strategy=strategy_message(prediction.strategy),
        plan=plan_message(prediction.plan),
        latency_ms=_estimate(prediction.latency_ms),
        throughput_items_per_second=_estimate(prediction.throughput),
        memory_mb=_estimate(prediction.memory_mb),
        terms=predictor_service_pb2.PredictionTerms(
            solo_ms=composition.solo_ms,
            contention_ms=composition.contention_ms,
            other_programs_ms=composition.other_programs_ms,
            taken_cores=composition.taken,
            dispatch_ms=composition.dispatch_ms,
            weights_mb=composition.memory.weights_mb,
            scratch_mb=composition.memory.scratch_mb,
            lanes_mb=composition.memory.lanes_mb,
            solo_times=[_solo_time(each) for each in composition.solo_times],
            correction_factor=prediction.correction_factor,
            memory_correction_factor=prediction.memory_correction_factor,
            shared_mb=composition.memory.shared_mb,
            loading_ms=composition.loading_ms,
        ),
    )


def _solo_time(solo: SoloTime) -> predictor_service_pb2.SoloTime:
    return predictor_service_pb2.SoloTime(
        model_name=solo.model_name,
        batch_size=solo.batch_size,
        lane_width=solo.lane_width,
        time_ms=_estimate(solo.estimate),
        basis=_BASES[solo.basis],
        observation_count=solo.observation_count,
    )


def _estimate(estimate: Estimate) -> core_pb2.Estimate:
    return core_pb2.Estimate(value=estimate.value, low=estimate.low, high=estimate.high)
