"""What bounds the choice of a strategy, and the choice that it makes where there is no prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeAlias

from corun.orchestrator.core.terms import Strategy


@dataclass(frozen=True, slots=True)
class Configuration:
    """Bounds; None bounds nothing.

    Attributes:
        parallel_threshold: Most models that may run in parallel.
        sequential_threshold: Models above which only sequential is eligible.
        batching_size: Most models in a group of the batched strategy.
        memory_threshold_mb: Most memory that a strategy may be predicted to need, megabytes.
    """

    batching_size: int
    parallel_threshold: int | None = None
    sequential_threshold: int | None = None
    memory_threshold_mb: float | None = None


FIELDS = tuple(field.name for field in fields(Configuration))


Values: TypeAlias = Mapping[str, Any]
"""Some of the fields by their names: numbers, or None for no bound."""


class Origin(StrEnum):
    """Where a value of a configuration comes from."""

    DEFAULT = "default"
    MANUAL = "manual"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class Overrides:
    """A platform's values that differ from the service's settings, None among them, and where each comes from."""

    values: Values
    origins: Mapping[str, Origin]

    def over(self, defaults: Configuration) -> Configuration:
        """The configuration in force."""
        return replace(defaults, **self.values)

    def origin_of(self, field: str) -> Origin:
        """Where the value of a field comes from."""
        return self.origins.get(field, Origin.DEFAULT)

    @property
    def manual(self) -> tuple[str, ...]:
        """Fields that were set by hand."""
        return tuple(field for field, origin in self.origins.items() if origin is Origin.MANUAL)

    def changed(self, values: Values, origin: Origin) -> Overrides:
        """With other values of some fields."""
        return Overrides({**self.values, **values}, {**self.origins, **dict.fromkeys(values, origin)})


UNCHANGED = Overrides({}, {})
"""Everything is as the service is set."""


def in_words(values: Values) -> str:
    """Values by their names."""
    return ", ".join(f"{name} {'none' if value is None else f'{value:,g}'}" for name, value in values.items())


def objections(
    strategy: Strategy, configuration: Configuration, *, model_count: int, memory_mb: float | None
) -> list[str]:
    """Why `strategy` would not be eligible, in words; empty when it is. `memory_mb`: predicted, if it was."""
    found = []
    sequential, parallel = configuration.sequential_threshold, configuration.parallel_threshold
    if sequential is not None and model_count > sequential and strategy is not Strategy.SEQUENTIAL:
        found.append(f"{model_count} models are over the sequential threshold of {sequential}")
    elif parallel is not None and model_count > parallel and strategy is Strategy.PARALLEL:
        found.append(f"{model_count} models are over the parallel threshold of {parallel}")
    limit = configuration.memory_threshold_mb
    if limit is not None and memory_mb is not None and memory_mb > limit:
        found.append(f"{memory_mb:,.0f} MB are expected, over the memory threshold of {limit:,.0f} MB")
    return found


def by_thresholds(configuration: Configuration, *, model_count: int) -> tuple[Strategy, str]:
    """The strategy that the thresholds alone point to, and why: sequential above the sequential threshold, parallel up
    to the parallel one, batched between them. Where a threshold is not set it bounds nothing."""
    sequential, parallel = configuration.sequential_threshold, configuration.parallel_threshold
    if sequential is not None and model_count > sequential:
        return Strategy.SEQUENTIAL, f"{model_count} models, over the sequential threshold of {sequential}"
    if parallel is None or model_count <= parallel:
        bound = "no parallel threshold is set" if parallel is None else f"within the parallel threshold of {parallel}"
        return Strategy.PARALLEL, f"{model_count} models, {bound}"
    return Strategy.BATCHED, f"{model_count} models, over the parallel threshold of {parallel}"
