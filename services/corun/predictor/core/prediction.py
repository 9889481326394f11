"""What a workload will cost under each strategy, and which runs should be profiled to know it better."""

from __future__ import annotations

from dataclasses import dataclass

from corun.predictor.core.composition import Composition, compose
from corun.predictor.core.interval import Estimate
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.planner import Plan, PlannedRun, make_plan
from corun.predictor.core.solo import SoloTime, solo_time
from corun.predictor.core.workload import Environment, Strategy, Workload


@dataclass(frozen=True, slots=True)
class StrategyPrediction:
    """Predicted figures of one strategy: milliseconds, items per second, megabytes, and the parts behind them."""

    plan: Plan
    latency_ms: Estimate
    throughput: Estimate
    memory_mb: Estimate
    composition: Composition

    @property
    def strategy(self) -> Strategy:
        """The strategy that the plan carries out."""
        return self.plan.strategy


@dataclass(frozen=True, slots=True)
class ProfileSuggestion:
    """A run whose profile would narrow the intervals."""

    model_name: str
    batch_size: int
    lane_width: int


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
    known: dict[tuple[str, int, int], SoloTime] = {}

    def solo_times(run: PlannedRun, lane_width: int) -> SoloTime:
        key = (run.model_name, run.batch_size, lane_width)
        if key not in known:
            known[key] = solo_time(
                knowledge, environment.place, model_name=key[0], batch_size=key[1], lane_width=key[2]
            )
        return known[key]

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
        composition = compose(plan, environment, knowledge, solo_times)
        latency = composition.latency
        throughput = latency.inverted(1000.0 * workload.item_count)
        predictions.append(StrategyPrediction(plan, latency, throughput, composition.memory_mb, composition))
    suggestions = _suggestions(knowledge, workload, environment, [each.plan for each in predictions])
    return Prediction(tuple(predictions), suggestions, knowledge.calibration(environment.place).noise)


def _suggestions(
    knowledge: Knowledge, workload: Workload, environment: Environment, plans: list[Plan]
) -> tuple[ProfileSuggestion, ...]:
    """The widest and the narrowest lane that the plans need for each model, at the workload's own batch sizes.

    Widths between are left to the speed-up law, and merged batches to the curve over batch sizes.
    """
    needed: dict[str, set[int]] = {}
    for plan in plans:
        for stage in plan.stages:
            for run in stage.runs:
                needed.setdefault(run.model_name, set()).add(plan.lane_widths[run.lane])
    suggestions: dict[ProfileSuggestion, None] = {}
    any_width = knowledge.calibration(environment.place).rates.one_device
    for model in workload.models:
        history = knowledge.histories.get((environment.place, model.model_name))
        observed = history.times.keys() if history is not None else set()
        widths = {max(needed[model.model_name]), min(needed[model.model_name])}
        missing = widths - observed
        if any_width:
            missing = set() if observed else {max(widths)}
        for width in sorted(missing, reverse=True):
            suggestions[ProfileSuggestion(model.model_name, model.batch_size, width)] = None
    return tuple(suggestions)
