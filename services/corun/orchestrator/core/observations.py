"""What measured runs teach the predictor, and what it asks to be profiled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

# Enough to see the spread of a setting; more would let one long execution outvote all others.
MAX_RUNS_PER_SETTING = 32

# Bounds of one ProfileModel call.
MAX_SETTINGS_PER_PROFILE = 16
MAX_PROFILED_BATCH_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: items, threads of its lane, runs beside it (itself included), milliseconds, browser, and the
    cores that other programs used meanwhile."""

    model_name: str
    batch_size: int
    lane_width: int
    concurrency: int
    run_time_ms: float
    engine: str = ""
    other_programs_cores: float | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to run a model: items and threads of the lane."""

    batch_size: int
    lane_width: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A setting measured alone: milliseconds of every run, peak of memory in megabytes, loading in milliseconds, and
    the cores that other programs used meanwhile."""

    setting: Setting
    run_times_ms: tuple[float, ...]
    memory_mb: float
    load_time_ms: float = 0.0
    other_programs_cores: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One run that had its lane's cores to itself; memory and loading where they were measured for this model alone,
    and the cores that other programs used meanwhile, where that was measured."""

    model_name: str
    setting: Setting
    run_time_ms: float
    memory_mb: float | None = None
    load_time_ms: float | None = None
    other_programs_cores: float | None = None


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    """One call to profile a model."""

    model_name: str
    settings: tuple[Setting, ...]


def profile_orders(suggestions: Iterable[tuple[str, Setting]]) -> list[ProfileOrder]:
    """Groups suggested settings by model, in the order of their first appearance, without repeats.

    A batch over what can be profiled is profiled at the largest that can. A model with more settings than
    one call takes gets several.
    """
    wanted: defaultdict[str, dict[Setting, None]] = defaultdict(dict)
    for model_name, setting in suggestions:
        wanted[model_name][Setting(min(setting.batch_size, MAX_PROFILED_BATCH_SIZE), setting.lane_width)] = None
    return [
        ProfileOrder(model_name, tuple(settings)[start : start + MAX_SETTINGS_PER_PROFILE])
        for model_name, settings in wanted.items()
        for start in range(0, len(settings), MAX_SETTINGS_PER_PROFILE)
    ]


def observed_profiles(model_name: str, profiles: Iterable[Profile]) -> list[Observation]:
    """Every run of the profiles. Memory and loading go with the first run of their setting only: they were
    measured once, however often the model ran."""
    found = []
    for profile in profiles:
        memory = profile.memory_mb if isfinite(profile.memory_mb) and profile.memory_mb > 0 else None
        loading = profile.load_time_ms if _is_a_time(profile.load_time_ms) else None
        for time in filter(_is_a_time, profile.run_times_ms):
            found.append(Observation(model_name, profile.setting, time, memory, loading, profile.other_programs_cores))
            memory = loading = None
    return found


def observed_alone(runs: Iterable[Run]) -> list[Observation]:
    """The runs that had no other beside them, at most 32 of each model and setting, evenly spread."""
    alone: defaultdict[tuple[str, Setting], list[Run]] = defaultdict(list)
    for run in runs:
        if run.concurrency == 1 and _is_a_time(run.run_time_ms):
            alone[run.model_name, Setting(run.batch_size, run.lane_width)].append(run)
    return [
        Observation(model_name, setting, run.run_time_ms, other_programs_cores=run.other_programs_cores)
        for (model_name, setting), measured in alone.items()
        for run in _spread(measured, MAX_RUNS_PER_SETTING)
    ]


def _is_a_time(milliseconds: float) -> bool:
    # A browser's clock is coarse: a very short run may read as 0, which says nothing.
    return isfinite(milliseconds) and milliseconds > 0


def _spread(runs: Sequence[Run], limit: int) -> list[Run]:
    if len(runs) <= limit:
        return list(runs)
    return [runs[index * len(runs) // limit] for index in range(limit)]
