"""How long the benchmark will take, before anything of it was timed."""

from __future__ import annotations

from corun.accuracy.core.design import Design
from corun.orchestrator.core.terms import Strategy

# Seconds on 2 cores with the default models: a new browser, its lanes, loading and warming up dominate.
PROFILE_SECONDS = 8.0
TRAIN_SECONDS = 7.0
FIRST_RUN_SECONDS = 9.0
REPEATED_RUN_SECONDS = 3.0


def expected_seconds(design: Design, *, model_count: int, repeats: int) -> float:
    """Profiling every model, training, and measuring every held-out workload under every strategy."""
    point_count = len(design.held_out) * len(Strategy)
    per_point = FIRST_RUN_SECONDS + (repeats - 1) * REPEATED_RUN_SECONDS
    return PROFILE_SECONDS * model_count + TRAIN_SECONDS * len(design.training) + per_point * point_count
