"""Which strategy runs, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.orchestrator.core.terms import Figures, Goal, Strategy


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy and the reason in words; `automatic` when the caller left it to corun."""

    strategy: Strategy
    reason: str
    automatic: bool


def choose(*, asked: Strategy | None, recommended: Strategy, reason: str) -> Choice:
    """The caller's strategy if there is one, else the recommended one with the predictor's reason."""
    if asked is None:
        return Choice(recommended, reason, automatic=True)
    return Choice(asked, f"asked for by the caller; the predictor would choose {recommended}", automatic=False)


def favourite(
    candidates: Sequence[Strategy],
    *,
    recommended: Strategy,
    reason: str,
    predicted: Mapping[Strategy, Figures],
    goal: Goal,
) -> Choice:
    """What the predictor recommends out of `candidates`.

    That is its recommendation where it is a candidate, and otherwise the candidate with the best predicted
    figure: a comparison can only judge a recommendation that it measures.
    """
    if recommended in candidates:
        return Choice(recommended, reason, automatic=True)
    best = best_of({each: predicted[each] for each in candidates}, goal)
    words = f"{recommended} is recommended but not compared; {best} has the best predicted {goal} of those compared"
    return Choice(best, words, automatic=True)


def best_of(figures: Mapping[Strategy, Figures], goal: Goal) -> Strategy:
    """The strategy with the best figure for `goal`; the first of equals. `figures` must not be empty."""
    pick = max if goal.higher_is_better else min
    return pick(figures, key=lambda strategy: figures[strategy].of(goal))
