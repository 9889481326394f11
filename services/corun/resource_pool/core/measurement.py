"""What was measured while a plan ran, and how its figures follow from what was timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class TimedRun:
    """One run: where in the plan it stood, its time inside its lane in milliseconds, and the bytes of tensors that
    crossed the page boundary for it."""

    iteration: int
    stage: int
    run: int
    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    run_time_ms: float
    engine: str
    connection_id: str
    boundary_bytes: int
    replica: int


@dataclass(frozen=True, slots=True)
class LaneUse:
    """A lane as it was at the end of a plan; `lane` is its number there, `replica` the copy of the plan."""

    lane: int
    replica: int
    connection_id: str
    engine: str
    adapter: str
    software_adapter: bool
    width: int
    wasm_memory_mb: float
    model_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemoryPeak:
    """Peak of the browsers' processes over their idle size, and how closely it was watched."""

    peak_mb: float
    sample_count: int
    sampling_interval_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The three measured figures: milliseconds, items per second, megabytes."""

    latency_ms: float
    throughput_items_per_second: float
    memory_mb: float


def figures(
    *, iteration_latencies_ms: Sequence[float], item_count: int, wall_seconds: float, memory_mb: float
) -> Figures:
    """Latency is the median over iterations; throughput counts all items over the whole wall time.

    Args:
        iteration_latencies_ms: From dispatch of the first run to the last result available; at least one.
        item_count: Items in one iteration.
        wall_seconds: From the first dispatch of the first iteration to the last result of the last.
        memory_mb: Peak over idle.
    """
    items = item_count * len(iteration_latencies_ms)
    return Figures(median(iteration_latencies_ms), items / wall_seconds, memory_mb)
