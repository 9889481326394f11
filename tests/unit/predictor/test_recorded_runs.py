"""What real browsers taught and what was held out, learnt again: a change of the predictor shows here in seconds.

Each file of `recorded_runs` is one `corun bench accuracy` on an otherwise idle machine with two cores (WebAssembly in
Chromium, six models), as `tests.bench.record_runs` writes it: what the predictor was told, what it was asked then, and
what was measured, five times each. It chose its profiles itself at the time, so a change in what it wants profiled
does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from corun.accuracy.core.scoring import Score, score
from corun.orchestrator.core.comparison import judge, median_figures
from corun.orchestrator.core.terms import Figures, Goal, Strategy
from corun.predictor.core.interval import Estimate
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.prediction import StrategyPrediction
from corun.predictor.core.recommendation import recommend
from tests.unit.predictor.recordings import predicted, read, taught

FILES = sorted((Path(__file__).parent / "recorded_runs").glob("*.json.gz"))


@dataclass(frozen=True)
class Workload:
    """A held-out workload: what is predicted now and what was measured then, by strategy."""

    unseen: bool
    recommended: Strategy
    predicted: dict[Strategy, StrategyPrediction]
    measured: dict[Strategy, list[Figures]]


def workloads_of(file: Path) -> Iterator[Workload]:
    recorded = read(file)
    knowledge = Knowledge()
    for told in recorded["observed"]:
        knowledge = taught(knowledge, told)
    for each in recorded["held_out"]:
        yield workload_of(knowledge, each)


def workload_of(knowledge: Knowledge, held_out: dict[str, Any]) -> Workload:
    prediction = predicted(knowledge, held_out["asked"])
    return Workload(
        unseen=held_out["unseen"],
        recommended=Strategy(recommend(prediction, Goal.LATENCY).strategy),
        predicted={Strategy(each.strategy): each for each in prediction.predictions},
        measured={
            Strategy(name): [Figures(*figures) for figures in repeats] for name, repeats in held_out["measured"].items()
        },
    )


@pytest.fixture(scope="module")
def workloads() -> list[Workload]:
    return [each for file in FILES for each in workloads_of(file)]


def scored(workloads: Sequence[Workload], goal: Goal, estimate_of: Callable[[StrategyPrediction], Estimate]) -> Score:
    points = [(each.predicted[name], repeats) for each in workloads for name, repeats in each.measured.items()]
    estimates = [estimate_of(prediction) for prediction, _ in points]
    return score(
        [each.value for each in estimates],
        [median_figures(repeats).of(goal) for _, repeats in points],
        intervals=[(each.low, each.high) for each in estimates],
        repeats=[[figures.of(goal) for figures in repeats] for _, repeats in points],
    )


def scored_parts(
    workloads: Sequence[Workload], goal: Goal, estimate_of: Callable[[StrategyPrediction], Estimate]
) -> tuple[Score, Score]:
    """Of models that training had, and with the one that it did without."""
    seen, unseen = (
        scored([each for each in workloads if each.unseen is part], goal, estimate_of) for part in (False, True)
    )
    return seen, unseen


def share_covered(*scores: Score) -> float:
    return sum((each.coverage or 0) * each.count for each in scores) / sum(each.count for each in scores)


def test_latency(workloads: list[Workload]) -> None:
    seen, unseen = scored_parts(workloads, Goal.LATENCY, lambda each: each.latency_ms)
    assert seen.mean is not None
    assert seen.noise_floor is not None
    assert unseen.mean is not None
    assert (seen.count, unseen.count) == (48, 24)
    assert seen.mean <= max(0.055, 1.3 * seen.noise_floor)
    assert unseen.mean <= 0.12
    assert 0.85 <= share_covered(seen, unseen) <= 0.95


def test_memory(workloads: list[Workload]) -> None:
    seen, unseen = scored_parts(workloads, Goal.MEMORY, lambda each: each.memory_mb)
    assert seen.mean is not None
    assert unseen.mean is not None
    assert max(seen.mean, unseen.mean) <= 0.10
    assert 0.85 <= share_covered(seen, unseen) <= 0.95


def test_the_recommended_strategy(workloads: list[Workload]) -> None:
    verdicts = [judge(each.measured, recommended=each.recommended, goal=Goal.LATENCY) for each in workloads]
    assert fmean(each.recommendation_correct for each in verdicts) >= 0.9

    def regret(each: Workload, chosen: Strategy) -> float:
        latencies = {name: median_figures(repeats).latency_ms for name, repeats in each.measured.items()}
        return latencies[chosen] / min(latencies.values()) - 1

    own = fmean(regret(each, each.recommended) for each in workloads)
    assert own <= 0.03
    assert own < min(fmean(regret(each, fixed) for each in workloads) for fixed in Strategy)
