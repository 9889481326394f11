"""What one would predict without a cost model, from the same training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from corun.accuracy.core.points import Execution, Features
from corun.orchestrator.core.terms import Figures, Goal, Strategy

Baseline = Callable[[Features], Figures]


def baselines(training: Sequence[Execution]) -> dict[str, Baseline]:
    """All baselines by name; `training` has every strategy at least once."""
    return {
        "history_mean": history_mean(training),
        "naive_composition": naive_composition,
        "linear_regression": linear_regression(training),
    }


def history_mean(training: Sequence[Execution]) -> Baseline:
    """The mean of what the same strategy measured so far."""
    means: Mapping[Strategy, Figures] = {
        strategy: Figures(*(fmean(each.measured.of(goal) for each in training if _is(each, strategy)) for goal in Goal))
        for strategy in {each.forecast.features.strategy for each in training}
    }
    return lambda features: means[features.strategy]


def naive_composition(features: Features) -> Figures:
    """Solo times as if sharing cost nothing: their sum one after another, their maximum side by side.

    Memory is the sum of what each model takes alone.
    """
    return Figures(features.longest_ms, 1000 * features.item_count / features.longest_ms, features.alone_mb)


def linear_regression(training: Sequence[Execution]) -> Baseline:
    """Ordinary least squares (scikit-learn) for each figure, on the features of the plan."""
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415  # takes a second, and few commands need it

    rows = [_row(each.forecast.features) for each in training]
    fitted = {goal: LinearRegression().fit(rows, [each.measured.of(goal) for each in training]) for goal in Goal}
    return lambda features: Figures(*(float(fitted[goal].predict([_row(features)])[0]) for goal in Goal))


def _row(features: Features) -> list[float]:
    return [
        features.solo_sum_ms,
        features.longest_ms,
        features.alone_mb,
        features.item_count,
        features.model_count,
        features.lane_count,
        *(float(features.strategy is strategy) for strategy in Strategy),
    ]


def _is(execution: Execution, strategy: Strategy) -> bool:
    return execution.forecast.features.strategy is strategy
