"""How often a model is run to know its time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

FIRST_RUNS = 1
# Some are needed to tell a typical one, unless a run takes so long that it is typical by itself: a large model on a
# GPU made of software takes minutes.
_TYPICAL_RUNS, _LONG_RUN_MS = 3, 10_000.0
_MOST_RUNS = 25
# Other work of the machine comes and goes within a second or two; the runs should see more than one of its moods.
_WATCHED_MS = 2000.0


def further_runs(run_times_ms: Sequence[float]) -> int:
    """Runs to follow those, 0 or more: until there are three and two seconds were watched, but never more than 25 in
    all. None follows a run of ten seconds."""
    if max(run_times_ms) >= _LONG_RUN_MS:
        return 0
    if len(run_times_ms) < _TYPICAL_RUNS:
        return _TYPICAL_RUNS - len(run_times_ms)
    typical = max(median(run_times_ms), 0.01)
    wanted = (_WATCHED_MS - sum(run_times_ms)) / typical
    return max(0, min(_MOST_RUNS - len(run_times_ms), int(wanted)))
