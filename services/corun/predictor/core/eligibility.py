"""Which strategies a configuration leaves to choose from, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corun.predictor.core.prediction import StrategyPrediction
from corun.predictor.core.workload import Strategy


@dataclass(frozen=True, slots=True)
class StrategyConfiguration:
    """Bounds of a choice; None bounds nothing.

    Attributes:
        parallel_threshold: Most models that may run in parallel.
        sequential_threshold: Models above which only sequential is left.
        memory_threshold_mb: Most memory that a strategy may be predicted to need, megabytes.
    """

    parallel_threshold: int | None = None
    sequential_threshold: int | None = None
    memory_threshold_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Eligible:
    """What is left to choose from, at least one; a sentence for each thing that limits the choice."""

    predictions: tuple[StrategyPrediction, ...]
    notes: tuple[str, ...] = ()


def eligible(predictions: Sequence[StrategyPrediction], configuration: StrategyConfiguration) -> Eligible:
    """Bounds models first, then memory. Where nothing fits, what needs least is left, with a warning."""
    by_count, notes = _by_count(predictions, configuration)
    limit = configuration.memory_threshold_mb
    if limit is None:
        return Eligible(tuple(by_count), tuple(notes))
    fitting = [each for each in by_count if each.memory_mb.value <= limit]
    if not fitting:
        least = min(by_count, key=lambda each: each.memory_mb.value)
        notes.append(
            f"warning: nothing eligible fits into {limit:,.0f} MB; {least.strategy} needs least, "
            f"{least.memory_mb.value:,.0f} MB"
        )
        return Eligible((least,), tuple(notes))
    notes += [
        f"{each.strategy} not eligible: {each.memory_mb.value:,.0f} MB expected over the threshold of {limit:,.0f} MB"
        for each in by_count
        if each not in fitting
    ]
    return Eligible(tuple(fitting), tuple(notes))


def _by_count(
    predictions: Sequence[StrategyPrediction], configuration: StrategyConfiguration
) -> tuple[list[StrategyPrediction], list[str]]:
    count = sum(len(run.members) for stage in predictions[0].plan.stages for run in stage.runs)
    sequential, parallel = configuration.sequential_threshold, configuration.parallel_threshold
    if sequential is not None and count > sequential:
        left = [each for each in predictions if each.strategy is Strategy.SEQUENTIAL]
        return left, [f"only sequential eligible: {count} models over the sequential threshold of {sequential}"]
    if parallel is not None and count > parallel:
        left = [each for each in predictions if each.strategy is not Strategy.PARALLEL]
        return left, [f"parallel not eligible: {count} models over the parallel threshold of {parallel}"]
    return list(predictions), []
