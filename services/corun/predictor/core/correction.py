"""Corrections of composed figures: a factor whose logarithm is a weighted sum of what a plan is like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from corun.planning.planner import Plan
from corun.predictor.core.workload import Strategy

if TYPE_CHECKING:
    from corun.predictor.core.composition import Composition

# No correction makes a figure more than this many times larger or smaller.
LARGEST_FACTOR = 4.0
LEVEL = "level"
# Part of the time in stages with several runs. Solo runs say nothing of it, so it drifts on its own.
SHARED = "shared"


@dataclass(frozen=True, slots=True)
class LinearCorrection:
    """Weights by the name of a feature; what has no weight does not count. Without any it is the identity."""

    weights: Mapping[str, float] = field(default_factory=dict)

    def log_factor(self, features: Mapping[str, float]) -> float:
        """Logarithm of what a composed figure is to be multiplied by; bounded by `LARGEST_FACTOR` either way."""
        if not self.weights:
            return 0.0
        total = sum(self.weights.get(name, 0.0) * value for name, value in features.items())
        bound = math.log(LARGEST_FACTOR)
        return min(bound, max(-bound, total))


IDENTITY = LinearCorrection()


def latency_features(plan: Plan, composition: Composition) -> dict[str, float]:
    """What a plan's latency may be mispredicted by. All are of the order of 1.

    Beside the level: the strategy, runs in a stage, the parts of sharing and dispatch, size, batch and width, and
    for each model the part of the time in which it runs alone or beside others.
    """
    total = composition.latency_ms
    runs = [(run, len(stage.runs) > 1) for stage in plan.stages for run in stage.runs]
    features = {
        LEVEL: 1.0,
        f"strategy:{plan.strategy}": float(plan.strategy is not Strategy.SEQUENTIAL),
        "runs_per_stage": math.log2(len(runs) / len(plan.stages)) / 2,
        "contention": composition.contention_ms / total,
        "dispatch": composition.dispatch_ms / total,
        "solo": (math.log(max(composition.solo_ms, 1e-3)) - 5) / 4,
        "batch": sum(math.log2(run.batch_size) for run, _ in runs) / len(runs) / 4,
        "width": sum(math.log2(plan.lane_widths[run.lane]) for run, _ in runs) / len(runs) / 4,
    }
    busy = sum(solo.time_ms for solo in composition.solo_times)
    for (run, crowded), solo in zip(runs, composition.solo_times, strict=True):
        if crowded:
            features[SHARED] = features.get(SHARED, 0.0) + solo.time_ms / busy
        name = f"model:{run.model_name}:{'shared' if crowded else 'alone'}"
        features[name] = features.get(name, 0.0) + solo.time_ms / busy
    return features
