"""Whether the strategy that was recommended was the one to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from corun.accuracy.core.points import HeldOut
from corun.orchestrator.core.comparison import judge, median_figures
from corun.orchestrator.core.terms import Figures, Goal, Strategy


@dataclass(frozen=True, slots=True)
class Choices:
    """How a way to choose did.

    Attributes:
        best_or_tied: Share of the workloads where the choice was the measured best or within noise of it.
        mean_regret: How much longer than the best the chosen strategies took, as a fraction, on average.
        worst_regret: The same of the worst choice.
    """

    best_or_tied: float
    mean_regret: float
    worst_regret: float


@dataclass(frozen=True, slots=True)
class Selection:
    """The recommended strategies against those that always are the same."""

    recommended: Choices
    fixed: Mapping[Strategy, Choices]

    @property
    def best_fixed(self) -> Strategy:
        """The strategy with the least mean regret if it were always taken."""
        return min(self.fixed, key=lambda strategy: self.fixed[strategy].mean_regret)


def select(workloads: Sequence[HeldOut]) -> Selection:
    """Judges the choices by measured latency; at least one workload."""
    recommended = _choices(workloads, [each.recommended for each in workloads])
    return Selection(recommended, {strategy: _choices(workloads, [strategy] * len(workloads)) for strategy in Strategy})


def _choices(workloads: Sequence[HeldOut], chosen_strategies: Sequence[Strategy]) -> Choices:
    good, regrets = [], []
    for workload, chosen in zip(workloads, chosen_strategies, strict=True):
        repeats = {point.strategy: point.repeats for point in workload.points}
        verdict = judge(repeats, recommended=chosen, goal=Goal.LATENCY)
        good.append(verdict.recommendation_correct)
        regrets.append(_latency(repeats[chosen]) / _latency(repeats[verdict.best]) - 1)
    return Choices(fmean(good), fmean(regrets), max(regrets))


def _latency(repeats: Sequence[Figures]) -> float:
    return median_figures(repeats).latency_ms
