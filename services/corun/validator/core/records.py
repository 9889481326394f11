"""What is put on record: executions and comparisons of strategies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of one run of a workload, predicted or measured; finite and not negative."""

    latency_ms: float
    throughput_items_per_second: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a workload. `model_type` is "" where the caller left it to the model."""

    model_name: str
    model_type: str
    batch_size: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Models that ran together, and how often."""

    models: tuple[Model, ...]
    iterations: int


@dataclass(frozen=True, slots=True)
class Run:
    """One inference of an execution.

    Attributes:
        lane_width: Threads of its lane.
        concurrency: Runs in the same stage, itself included.
        run_time_ms: Time inside the lane.
        stage: Index of its stage in the plan.
        run: Index in the stage.
        iteration: Number of the iteration.
        replica: Copy of the plan.
        engine: That it ran in; None: the execution's.

    Places in the plan are None where the caller did not tell them.
    """

    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    run_time_ms: float
    stage: int | None = None
    run: int | None = None
    iteration: int | None = None
    replica: int | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """What was run, what was predicted of it, and what was measured.

    Attributes:
        end_time: Aware; None stands for the time of recording.
        platform: "webgpu", "webnn" or "wasm".
        strategy: "parallel", "sequential" or "batched".
        goal: "latency", "throughput" or "memory".
        strategy_chosen: True when corun chose the strategy.
        plan_json: The schedule as a JSON object, or None. The validator keeps it and reads nothing out of it.
        predicted: None when there was no prediction.
        core_count: Cores that lanes could use; None where the caller did not tell.
        explored: True when corun tried an alternative to the recommended strategy.
    """

    execution_id: str
    end_time: datetime | None
    workload: Workload
    platform: str
    strategy: str
    goal: str
    strategy_chosen: bool
    engine: str
    adapter: str
    plan_json: str | None
    predictor_version: str
    predicted: Performance | None
    measured: Performance
    runs: tuple[Run, ...]
    queue_time_ms: float
    load_time_ms: float
    core_count: int | None = None
    explored: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the strategies did against each other on one workload.

    Attributes:
        recommended: Strategy that the predictor had recommended.
        best: Strategy that measured best.
        recommendation_correct: True when the recommended one was best or within noise of it.
        improvement_percent: Gain of the recommended strategy over the mean of all measured ones.
        outcomes: Measured figures by strategy.
    """

    comparison_id: str
    workload: Workload
    platform: str
    goal: str
    recommended: str
    best: str
    recommendation_correct: bool
    improvement_percent: float
    outcomes: dict[str, Performance]
