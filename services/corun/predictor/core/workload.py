"""What is to be run together, where, and what matters about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from corun.planning.goal import Goal
from corun.planning.planner import Strategy

__all__ = ["Environment", "Goal", "ModelConfig", "Place", "Platform", "Strategy", "Workload"]


class Platform(StrEnum):
    """Where a model's arithmetic happens inside the browser."""

    WEBGPU = "webgpu"
    WEBNN = "webnn"
    WASM = "wasm"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model of a workload and how many items it gets in one run."""

    model_name: str
    batch_size: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Models to be run together; the same model may appear more than once."""

    models: tuple[ModelConfig, ...]

    @property
    def item_count(self) -> int:
        """Items of one iteration."""
        return sum(each.batch_size for each in self.models)


@dataclass(frozen=True, slots=True)
class Place:
    """What observed times are comparable within: one platform in one kind of browser."""

    platform: Platform
    engine: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A place, and the cores that its lanes may use."""

    place: Place
    core_count: int
