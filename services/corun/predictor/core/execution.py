"""Whole executions: a plan, what it took, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

from corun.planning.planner import Plan


@dataclass(frozen=True, slots=True)
class ExecutedRun:
    """One run of an execution: its stage, the runs in that stage (itself included), milliseconds inside the lane."""

    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    stage: int
    run_time_ms: float


@dataclass(frozen=True, slots=True)
class Execution:
    """A plan that was carried out: latency in milliseconds, peak memory in megabytes or None where not measured.

    `end_time` is in seconds since 1970, 0 where unknown. `other_programs_cores` is what other programs used of the
    cores meanwhile, None where that was not measured.
    """

    plan: Plan
    core_count: int
    latency_ms: float
    memory_mb: float | None = None
    runs: tuple[ExecutedRun, ...] = ()
    end_time: float = 0.0
    replicas: int = 1
    other_programs_cores: float | None = None


@dataclass(frozen=True, slots=True)
class Surprise:
    """How far a measured figure was from its prediction, made before it was learnt.

    Attributes:
        log_ratio: Logarithm of measured over predicted.
        log_sigma: Standard deviation of that logarithm by the cost model's own reckoning, above 0.
    """

    log_ratio: float
    log_sigma: float


@dataclass(frozen=True, slots=True)
class ContentionReading:
    """The contention that would explain one measured run, and how much of its time hangs on it."""

    contention: float
    weight: float


@dataclass(frozen=True, slots=True)
class Experience:
    """What is kept of an execution: its figures, and what it said when it arrived.

    `stages_ms` is the time of each stage's longest run, milliseconds, and `dispatch_ms` the hand-over of each run; both
    are missing where the runs were not told. `moment` numbers what was learnt in a place, as that of an observation.
    """

    plan: Plan
    core_count: int
    latency_ms: float
    memory_mb: float | None
    end_time: float
    latency: Surprise
    memory: Surprise | None = None
    contentions: tuple[ContentionReading, ...] = ()
    dispatch_ms: float | None = None
    stages_ms: tuple[float, ...] = ()
    moment: int = 0
    other_programs_cores: float | None = None
