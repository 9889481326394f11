"""Which strategy runs, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.orchestrator.core.terms import Figures, Goal, Strategy


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy and the reason in words; `automatic` when the caller left it to corun, `explored` when it is an
    alternative to the recommended one."""

    strategy: Strategy
    reason: str
    automatic: bool
    explored: bool = False


def choose(*, asked: Strategy | None, recommended: Strategy, reason: str, objections: Sequence[str] = ()) -> Choice:
    """The caller's strategy if there is one, else the recommended one with the predictor's reason.

    What the caller asks for runs in any case; `objections` say why it would not have been eligible.
    """
    if asked is None:
        return Choice(recommended, reason, automatic=True)
    words = f"asked for by the caller; the predictor would choose {recommended}"
    return Choice(asked, "; ".join([words, *_outside(objections)]), automatic=False)


def without_prediction(
    *,
    asked: Strategy | None,
    by_thresholds: tuple[Strategy, str],
    objections: Sequence[str] = (),
) -> Choice:
    """The same where the predictor does not answer: the caller's strategy, else the one of the thresholds."""
    if asked is not None:
        words = "asked for by the caller; the predictor does not answer"
        return Choice(asked, "; ".join([words, *_outside(objections)]), automatic=False)
    strategy, why = by_thresholds
    return Choice(strategy, f"the predictor does not answer; by the thresholds alone: {why}", automatic=True)


def _outside(objections: Sequence[str]) -> list[str]:
    return [f"outside the configuration: {each}" for each in objections]


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
