"""What a workload will cost under each strategy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from corun.planning.planner import Plan, PlannedRun, Stage, make_plan
from corun.predictor.core.composition import Composition, SoloTimes, compose
from corun.predictor.core.conditions import Conditions
from corun.predictor.core.correction import latency_features
from corun.predictor.core.interval import Estimate, estimate
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.solo import SoloTime, solo_time
from corun.predictor.core.suggestions import ProfileSuggestion, suggest_profiles
from corun.predictor.core.workload import Environment, Place, Strategy, Workload


@dataclass(frozen=True, slots=True)
class StrategyPrediction:
    """Predicted figures of one strategy: milliseconds, items per second, megabytes, and the parts behind them.

    The figures are the composed ones times the correction factors that executions taught. `memory_log_sigma` is the
    standard deviation of the memory's logarithm.
    """

    plan: Plan
    latency_ms: Estimate
    throughput: Estimate
    memory_mb: Estimate
    composition: Composition
    correction_factor: float
    memory_log_sigma: float

    @property
    def strategy(self) -> Strategy:
        """The strategy that the plan carries out."""
        return self.plan.strategy

    @property
    def memory_correction_factor(self) -> float:
        """What the composed peak was multiplied by."""
        return self.memory_mb.value / self.composition.memory.total_mb


@dataclass(frozen=True, slots=True)
class Prediction:
    """Every strategy (parallel, sequential, batched), and what to profile. `noise` is that of repeated runs."""

    predictions: tuple[StrategyPrediction, ...]
    suggested_profiles: tuple[ProfileSuggestion, ...]
    noise: float


def predict(knowledge: Knowledge, workload: Workload, environment: Environment, *, batching_size: int) -> Prediction:
    """Predicts every strategy.

    Raises:
        ModelNeverObserved: for a model without features and without observations in this place.
    """
    solo_times = remembered_solo_times(knowledge, environment.place)
    conditions = knowledge.timeline(environment.place).now
    # Strategies of a small workload often come to the same schedule.
    composed: dict[tuple[tuple[Stage, ...], tuple[int, ...]], Composition] = {}
    predictions = []
    names = {model.model_name for model in workload.models}
    graphs = {name: knowledge.features[name] for name in names if name in knowledge.features}
    fixed_batch = {name for name, graph in graphs.items() if not graph.dynamic_batch}
    for strategy in Strategy:
        plan = make_plan(
            workload,
            strategy,
            core_count=environment.core_count,
            batching_size=batching_size,
            fixed_batch=fixed_batch,
        )
        schedule = plan.stages, plan.lane_widths
        if schedule not in composed:
            composed[schedule] = compose(plan, environment, knowledge, solo_times, taken=conditions.taken)
        predictions.append(_corrected(knowledge, plan, environment.place, composed[schedule], conditions))
    suggestions = suggest_profiles(knowledge, workload, environment, [each.plan for each in predictions])
    return Prediction(tuple(predictions), suggestions, knowledge.calibration(environment.place).noise)


def predict_plan(
    knowledge: Knowledge,
    plan: Plan,
    environment: Environment,
    solo_times: SoloTimes,
    *,
    conditions: Conditions | None = None,
) -> StrategyPrediction:
    """Predicts one plan: the composition of its parts, then what executions say the composition gets wrong.

    `conditions` are those of the machine: as they are now where it is None.
    """
    conditions = conditions or knowledge.timeline(environment.place).now
    composition = compose(plan, environment, knowledge, solo_times, taken=conditions.taken)
    return _corrected(knowledge, plan, environment.place, composition, conditions)


def _corrected(
    knowledge: Knowledge, plan: Plan, place: Place, composition: Composition, conditions: Conditions
) -> StrategyPrediction:
    adjustment = knowledge.adjustment(place)
    features = latency_features(plan, composition)
    log_factor = knowledge.correction(place.platform).log_factor(features)
    log_factor += conditions.pace + adjustment.latency.log_factor(features)
    factor = math.exp(log_factor)
    peak_mb, memory_log_sigma = adjustment.memory.applied(composition.memory)
    latency = estimate(factor * composition.latency_ms, composition.log_sigma, deviations=adjustment.latency_deviations)
    memory = estimate(peak_mb, memory_log_sigma, deviations=adjustment.memory_deviations)
    items = sum(run.batch_size for stage in plan.stages for run in stage.runs)
    return StrategyPrediction(
        plan, latency, latency.inverted(1000.0 * items), memory, composition, factor, memory_log_sigma
    )


def remembered_solo_times(knowledge: Knowledge, place: Place) -> SoloTimes:
    """Solo times in one place, each worked out once."""
    known: dict[tuple[str, int, int], SoloTime] = {}

    def solo_times(run: PlannedRun, lane_width: int) -> SoloTime:
        key = (run.model_name, run.batch_size, lane_width)
        if key not in known:
            known[key] = solo_time(knowledge, place, model_name=key[0], batch_size=key[1], lane_width=key[2])
        return known[key]

    return solo_times
