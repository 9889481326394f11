"""What happens while a plan is carried out, in the order in which it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corun.resource_pool.core.engine_choice import Fallback
from corun.resource_pool.core.measurement import Figures, LaneUse, MemoryPeak, TimedRun


@dataclass(frozen=True, slots=True)
class Leased:
    """A browser was granted; a plan in several has one such event for each."""

    connection_id: str
    engine: str
    adapter: str
    software_adapter: bool
    queue_time_ms: float


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """A model is in its lane; `load_time_ms` is 0 when it was there before."""

    model_name: str
    lane: int
    load_time_ms: float
    weights_origin: str
    already_loaded: bool


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """First runs, which compile, are done."""

    warmup_time_ms: float


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run was dispatched."""

    iteration: int
    stage: int
    run: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run's result is available."""

    timed: TimedRun


@dataclass(frozen=True, slots=True)
class IterationFinished:
    """All stages of an iteration are done."""

    iteration: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Retried:
    """The browser was lost; the plan starts over in another."""

    cause: str


@dataclass(frozen=True, slots=True)
class MemberDone:
    """What a model of the workload gave back in the last iteration: arrays by name, and readings of its items."""

    member: int
    model_name: str
    outputs: dict[str, Any]
    results: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The plan is done. Times are milliseconds; `other_programs_cores` is None where the plan was too short to tell."""

    figures: Figures
    iteration_latencies_ms: tuple[float, ...]
    runs: tuple[TimedRun, ...]
    memory: MemoryPeak
    queue_time_ms: float
    load_time_ms: float
    warmup_time_ms: float
    engine: str
    adapter: str
    software_adapter: bool
    weights_origins: dict[str, str]
    model_sha256s: dict[str, str]
    retry_count: int
    lanes: tuple[LaneUse, ...]
    fallbacks: tuple[Fallback, ...]
    other_programs_cores: float | None = None


Event = Leased | ModelLoaded | WarmedUp | RunStarted | RunFinished | IterationFinished | Retried | MemberDone | Measured
