"""Which strategy is best for a goal, and why, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from corun.predictor.core.interval import Estimate
from corun.predictor.core.prediction import Prediction, StrategyPrediction
from corun.predictor.core.workload import Goal, Strategy

_UNITS = {Goal.LATENCY: "ms", Goal.THROUGHPUT: "items/s", Goal.MEMORY: "MB"}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The best strategy, the reason with figures, and all strategies within noise of it, the best first."""

    strategy: Strategy
    reason: str
    tied: tuple[Strategy, ...]


def recommend(prediction: Prediction, goal: Goal) -> Recommendation:
    """The strategy with the lowest predicted latency or memory, or the highest throughput.

    Equal figures go to the first of parallel, sequential, batched.
    """
    sign = -1 if goal is Goal.THROUGHPUT else 1
    ranked = sorted(prediction.predictions, key=lambda each: sign * _figure(each, goal).value)
    best = _figure(ranked[0], goal).value
    tied = tuple(
        each.strategy
        for each in ranked
        if max(_figure(each, goal).value / best, best / _figure(each, goal).value) <= 1 + prediction.noise
    )
    return Recommendation(ranked[0].strategy, _reason(ranked, tied, goal, prediction.noise), tied)


def _figure(prediction: StrategyPrediction, goal: Goal) -> Estimate:
    if goal is Goal.LATENCY:
        return prediction.latency_ms
    return prediction.throughput if goal is Goal.THROUGHPUT else prediction.memory_mb


def _reason(ranked: list[StrategyPrediction], tied: tuple[Strategy, ...], goal: Goal, noise: float) -> str:
    best, *others = ranked
    unit = _UNITS[goal]
    against = " and ".join(f"{_worded(_figure(each, goal).value)} {unit} {each.strategy}" for each in others)
    sentence = f"{best.strategy}: {_worded(_figure(best, goal).value)} {unit} expected against {against}"
    if len(tied) > 1:
        rivals = " and ".join(each for each in tied if each is not best.strategy)
        sentence += f"; {rivals} within the {noise:.0%} noise of repeated runs"
    return sentence


def _worded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
