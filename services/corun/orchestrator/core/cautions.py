"""What did not go as it should without failing an execution, in words."""

from __future__ import annotations

# Most runs that the validator takes with one execution.
MAX_RECORDED_RUNS = 100_000


def cautions(*, predicted_engine: str, engine: str, retry_count: int, run_count: int) -> list[str]:
    """What whoever reads a measurement should know about it; empty when all went as foreseen."""
    found = []
    if engine and engine != predicted_engine:
        found.append(f"predicted for the engine {predicted_engine!r}, but it ran in {engine!r}")
    if retry_count:
        found.append(f"a browser was lost; the plan started over {retry_count} time(s)")
    if run_count > MAX_RECORDED_RUNS:
        found.append(f"only the first {MAX_RECORDED_RUNS} of {run_count} runs are recorded one by one")
    return found
