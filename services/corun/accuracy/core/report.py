"""Everything that was predicted and measured, as one document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from corun.accuracy.core.baselines import Baseline, baselines
from corun.accuracy.core.points import Execution, HeldOut, Interval, Point
from corun.accuracy.core.scoring import Score, score
from corun.accuracy.core.selection import select
from corun.orchestrator.core.terms import Figures, Goal

PARTS = ("seen", "unseen")

Scores = dict[str, dict[str, dict[str, Any]]]


def own_scores(points: Sequence[Point]) -> Scores:
    """Scores of the predictions by figure and part, with coverage and noise floor."""

    def scored(goal: Goal, part: Sequence[Point]) -> Score:
        intervals: list[Interval] = [point.forecast.intervals[goal] for point in part]
        repeats = [[figures.of(goal) for figures in point.repeats] for point in part]
        predicted = [point.forecast.figures.of(goal) for point in part]
        return score(predicted, _measured(goal, part), intervals=intervals, repeats=repeats)

    return _scores(points, scored)


def baseline_scores(training: Sequence[Execution], points: Sequence[Point]) -> dict[str, Scores]:
    """Scores of each baseline by its name, on the same points."""

    def of(predict: Baseline) -> Scores:
        def scored(goal: Goal, part: Sequence[Point]) -> Score:
            return score([predict(point.forecast.features).of(goal) for point in part], _measured(goal, part))

        return _scores(points, scored)

    return {name: of(predict) for name, predict in baselines(training).items()}


def selection_document(workloads: Sequence[HeldOut]) -> dict[str, Any]:
    """How the recommendations did, against the strategies that always are the same."""
    chosen = select(workloads)
    return {
        **asdict(chosen.recommended),
        "workload_count": len(workloads),
        "fixed": {strategy.value: asdict(each) for strategy, each in chosen.fixed.items()},
        "best_fixed": chosen.best_fixed.value,
    }


def point_document(point: Point) -> dict[str, Any]:
    """One point with everything that a closer look needs."""
    return {
        "workload": [{"model_name": name, "batch_size": batch_size} for name, batch_size in point.workload],
        "strategy": point.strategy.value,
        "part": PARTS[point.unseen],
        "predicted": _figures_document(point.forecast.figures),
        "intervals": {goal.value: list(interval) for goal, interval in point.forecast.intervals.items()},
        "measured": _figures_document(point.measured),
        "repeats": [_figures_document(each) for each in point.repeats],
        "terms": dict(point.forecast.terms),
        "runs": [
            {**asdict(run), "measured_ms": measured_ms}
            for run, measured_ms in zip(point.forecast.features.runs, point.run_times_ms, strict=True)
        ],
    }


def _scores(points: Sequence[Point], scored: Callable[[Goal, Sequence[Point]], Score]) -> Scores:
    parts = {name: [point for point in points if PARTS[point.unseen] == name] for name in PARTS}
    return {goal.value: {name: asdict(scored(goal, part)) for name, part in parts.items()} for goal in Goal}


def _measured(goal: Goal, points: Sequence[Point]) -> list[float]:
    return [point.measured.of(goal) for point in points]


def _figures_document(figures: Figures) -> dict[str, float]:
    return {goal.value: figures.of(goal) for goal in Goal}
