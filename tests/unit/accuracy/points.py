"""Points with figures that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Sequence

from corun.accuracy.core.points import Execution, Features, Forecast, HeldOut, Measured, Point, SoloRun
from corun.orchestrator.core.terms import Figures, Goal, Strategy


def features(strategy: Strategy = Strategy.PARALLEL, *, solo_ms: Sequence[float] = (10.0, 30.0)) -> Features:
    """Two models with 4 items in all, the longest run 30 ms, 100 MB alone."""
    longest = sum(solo_ms) if strategy is Strategy.SEQUENTIAL else max(solo_ms)
    lanes = 1 if strategy is Strategy.SEQUENTIAL else 2
    runs = tuple(SoloRun("a", 1, 1, each) for each in solo_ms)
    return Features(strategy, runs, longest, item_count=4, model_count=2, alone_mb=100.0, lane_count=lanes)


def forecast(strategy: Strategy, latency_ms: float) -> Forecast:
    """So many milliseconds, with an interval of a tenth; 4 items and 100 MB."""
    figures = Figures(latency_ms, 4000 / latency_ms, 100.0)
    intervals = {goal: (0.9 * figures.of(goal), 1.1 * figures.of(goal)) for goal in Goal}
    return Forecast(figures, intervals, features(strategy), {"solo_ms": 30.0})


def point(strategy: Strategy, latency_ms: float, measured_ms: Sequence[float], *, unseen: bool = False) -> Point:
    """Predicted to take `latency_ms`, and measured as often as there are figures; 80 MB each time."""
    rounds = tuple(Measured(Figures(each, 4000 / each, 80.0), (each / 4, each / 2)) for each in measured_ms)
    return Point((("a", 1), ("b", 3)), unseen, forecast(strategy, latency_ms), rounds)


def execution(strategy: Strategy, measured_ms: float, *, solo_ms: Sequence[float] = (10.0, 30.0)) -> Execution:
    """A workload that took so long and 80 MB."""
    known = Forecast(Figures(1, 1, 1), {}, features(strategy, solo_ms=solo_ms), {})
    return Execution((("a", 1), ("b", 3)), known, Figures(measured_ms, 4000 / measured_ms, 80.0))


def held_out(recommended: Strategy, measured: dict[Strategy, Sequence[float]], *, unseen: bool = False) -> HeldOut:
    """A workload with the measured milliseconds of every strategy."""
    points = tuple(point(strategy, 100.0, each, unseen=unseen) for strategy, each in measured.items())
    return HeldOut(recommended, points)
