"""What the predictor is taught: graphs of models, measured runs of single models, and whole executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corun.predictor.core.execution import Experience
from corun.predictor.core.workload import Place


@dataclass(frozen=True, slots=True)
class GraphFeatures:
    """What can be read off a model's graph without running it. Sizes in bytes, as in GraphFeatures of the contract."""

    flops_per_item: float
    weight_bytes: int
    activation_bytes_per_item: float
    operator_count: int
    dynamic_batch: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured run of one model that had its lane's cores to itself.

    `run_time_ms` is the time inside the lane; `memory_mb` the peak over the idle browser, or None; `load_time_ms` the
    loading before it, or None where the lane held the model; `other_programs_cores` what other programs used of the
    cores meanwhile, or None where that was not measured. `moment` numbers what was learnt in a place, from 1; 0
    is not learnt yet.
    """

    model_name: str
    batch_size: int
    lane_width: int
    run_time_ms: float
    memory_mb: float | None = None
    load_time_ms: float | None = None
    other_programs_cores: float | None = None
    moment: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt, and stored, as one: observations and executions in one place, and features of models."""

    place: Place | None = None
    observations: tuple[Observation, ...] = ()
    features: Mapping[str, GraphFeatures] = field(default_factory=dict)
    experiences: tuple[Experience, ...] = ()

    def __post_init__(self) -> None:
        if (self.observations or self.experiences) and self.place is None:
            raise ValueError("observations and executions need the place where they were made")
