"""How often a model is run to know its time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

FIRST_RUNS = 3
_MOST_RUNS = 25
# Other work of the machine comes and goes within a second or two; the runs should see more than one of its moods.
_WATCHED_MS = 2000.0


def further_runs(run_times_ms: Sequence[float]) -> int:
    """Runs to follow those, 0 or more: until two seconds were watched, but never more than 25 in all."""
    typical = max(median(run_times_ms), 0.01)
    wanted = (_WATCHED_MS - sum(run_times_ms)) / typical
    return max(0, min(_MOST_RUNS - len(run_times_ms), int(wanted)))
