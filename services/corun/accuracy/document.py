"""The outcome of a benchmark as one document; `corun bench accuracy --json` prints it."""

from __future__ import annotations

from typing import Any

from corun.accuracy.benchmark import Outcome
from corun.accuracy.core.design import Design
from corun.accuracy.core.report import baseline_scores, own_scores, point_document, selection_document
from corun.accuracy.site import Site


def document(site: Site, design: Design, outcome: Outcome, *, seed: int, repeats: int, fresh: bool) -> dict[str, Any]:
    """Scores by figure and part, baselines, selection, how it was done, and every point.

    Errors and shares are fractions, times are milliseconds, `duration` is seconds. `fresh_state` says whether the
    predictor knew nothing before.
    """
    points = [point for workload in outcome.held_out for point in workload.points]
    environment = site.everything.environment
    return {
        **own_scores(points),
        "baselines": baseline_scores(outcome.training, points),
        "selection": {**selection_document(outcome.held_out), "predict_and_choose_p50_ms": outcome.choice_ms},
        "seed": seed,
        "platform": site.platform_name,
        "engine": environment.engine,
        "core_count": environment.core_count,
        "models": [model.name for model in site.everything.models],
        "left_out": design.left_out,
        "alone_mb": dict(outcome.alone_mb),
        "fresh_state": fresh,
        "counts": {
            "train": len(design.training),
            "test": len(design.held_out),
            "seen": len(design.seen),
            "unseen": len(design.unseen),
            "points": len(points),
            "repeats": repeats,
        },
        "duration": outcome.duration_seconds,
        "points": [point_document(point) for point in points],
    }
