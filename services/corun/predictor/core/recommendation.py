"""Which strategy is best for a goal, and why, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from corun.predictor.core.eligibility import StrategyConfiguration, eligible
from corun.predictor.core.interval import Estimate
from corun.predictor.core.prediction import Prediction, StrategyPrediction
from corun.predictor.core.workload import Goal, Strategy

_UNBOUNDED = StrategyConfiguration()
_UNITS = {Goal.LATENCY: "ms", Goal.THROUGHPUT: "items/s", Goal.MEMORY: "MB"}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The best strategy, the reason with figures, and all strategies within noise of it, the best first."""

    strategy: Strategy
    reason: str
    tied: tuple[Strategy, ...]


def recommend(prediction: Prediction, goal: Goal, configuration: StrategyConfiguration = _UNBOUNDED) -> Recommendation:
    """Of what the configuration allows, the strategy with the lowest latency or memory, or the highest throughput.

    Equal figures go to the first of parallel, sequential, batched.
    """
    sign = -1 if goal is Goal.THROUGHPUT else 1
    choice = eligible(prediction.predictions, configuration)
    ranked = sorted(choice.predictions, key=lambda each: sign * _figure(each, goal).value)
    best = _figure(ranked[0], goal).value
    tied = tuple(
        each.strategy
        for each in ranked
        if max(_figure(each, goal).value / best, best / _figure(each, goal).value) <= 1 + prediction.noise
    )
    reason = "; ".join([_reason(ranked, tied, goal, prediction.noise), *choice.notes])
    return Recommendation(ranked[0].strategy, reason, tied)


def _figure(prediction: StrategyPrediction, goal: Goal) -> Estimate:
    if goal is Goal.LATENCY:
        return prediction.latency_ms
    return prediction.throughput if goal is Goal.THROUGHPUT else prediction.memory_mb


def _reason(ranked: list[StrategyPrediction], tied: tuple[Strategy, ...], goal: Goal, noise: float) -> str:
    best, *others = ranked
    unit = _UNITS[goal]
    against = " and ".join(f"{_worded(_figure(each, goal).value)} {unit} {each.strategy}" for each in others)
    sentence = f"{best.strategy}: {_worded(_figure(best, goal).value)} {unit} expected"
    if against:
        sentence += f" against {against}"
    if len(tied) > 1:
        rivals = " and ".join(each for each in tied if each is not best.strategy)
        sentence += f"; {rivals} within the {noise:.0%} noise of repeated runs"
    return sentence


def _worded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
