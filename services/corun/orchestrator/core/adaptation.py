"""Which bounds of the choice would have had the least regret over what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from statistics import fmean, stdev
from typing import Any, TypeAlias

from corun.orchestrator.core.choice import best_of
from corun.orchestrator.core.comparison import median_figures
from corun.orchestrator.core.configuration import FIELDS, Configuration, objections
from corun.orchestrator.core.terms import Figures, Goal, Strategy

LEAST_VALIDATIONS = 5
"""On a platform, before anything is adapted there."""

LEAST_CONTESTS = 5
"""Workloads measured under several strategies, before anything is adapted."""

# How far one update may move a threshold: models, and a factor of memory. Groups grow and shrink to the next size that
# was measured.
_THRESHOLD_STEP = 2
_MEMORY_FACTOR = 1.25

# Another value has to lower the mean regret by more than this, and by two standard errors: the best of many
# candidates on few workloads is better by chance.
_LEAST_GAIN = 0.005
_STANDARD_ERRORS = 2.0

_MOST_MEMORY_LEVELS = 24
_PASSES = 2

Way: TypeAlias = tuple[Strategy, int]
"""A strategy, and for batched the most models in a group, else 0."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One execution on record.

    Attributes:
        workload: What ran, where, and for which goal: executions that are alike in it are compared.
        group_size: Most models in a group of its plan.
        predicted: None where it was not predicted.
    """

    workload: Hashable
    model_count: int
    goal: Goal
    strategy: Strategy
    group_size: int
    predicted: Figures | None
    measured: Figures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was expected of a way to run a workload the last time, and the medians of what was measured."""

    predicted: Figures
    measured: Figures


@dataclass(frozen=True, slots=True)
class Contest:
    """A workload that was measured under several strategies."""

    model_count: int
    goal: Goal
    outcomes: Mapping[Way, Outcome]


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The values that an update would set, and mean regrets on the workloads that tell of all three.

    Attributes:
        suggested: One bounded step from the current ones towards the best.
        contest_count: Workloads measured under several strategies.
        default_regret: Of the service's settings; None where nothing can be told.
        reason: In words.
    """

    suggested: Configuration
    contest_count: int
    default_regret: float | None
    current_regret: float | None
    suggested_regret: float | None
    reason: str


def contests(measured: Iterable[Measured]) -> list[Contest]:
    """Workloads that were measured, and predicted, under at least two strategies; `measured` oldest first."""
    by_workload: defaultdict[Hashable, list[Measured]] = defaultdict(list)
    for each in measured:
        if each.predicted is not None:
            by_workload[each.workload].append(each)
    found = []
    for alike in by_workload.values():
        if len({each.strategy for each in alike}) > 1:
            ways: defaultdict[Way, list[Measured]] = defaultdict(list)
            for each in alike:
                ways[each.strategy, each.group_size if each.strategy is Strategy.BATCHED else 0].append(each)
            found.append(
                Contest(alike[0].model_count, alike[0].goal, {way: _outcome(group) for way, group in ways.items()})
            )
    return found


def regret(contest: Contest, configuration: Configuration, *, memory_limit_mb: float | None) -> float | None:
    """How much worse than the best what would have been chosen was, as a fraction of the best; None where that was
    not measured.

    Args:
        contest: The workload.
        configuration: What bounds the choice, in which the best by prediction is taken.
        memory_limit_mb: What may be needed in fact: what needed more is not the best, and a choice of it is regretted
            by at least the share it was over.
    """
    group = min(configuration.batching_size, contest.model_count)
    ways = {
        strategy: outcome
        for (strategy, size), outcome in contest.outcomes.items()
        if strategy is not Strategy.BATCHED or size == group
    }
    by_count = {each for each in Strategy if not _is_ruled_out(each, configuration, contest.model_count, None)}
    eligible = {strategy: outcome for strategy, outcome in ways.items() if strategy in by_count}
    was_batched = any(strategy is Strategy.BATCHED for strategy, _ in contest.outcomes)
    in_other_groups = was_batched and Strategy.BATCHED not in ways
    if not eligible or (in_other_groups and Strategy.BATCHED in by_count):
        return None
    fitting = {
        strategy: outcome.predicted
        for strategy, outcome in eligible.items()
        if not _is_ruled_out(strategy, configuration, contest.model_count, outcome.predicted.memory_mb)
    }
    if fitting:
        chosen = best_of(fitting, contest.goal)
    else:  # what is expected to need least, as the predictor recommends it then
        chosen = min(eligible, key=lambda strategy: eligible[strategy].predicted.memory_mb)
    return _behind(eligible[chosen].measured, contest, memory_limit_mb)


def adapted(
    found: Sequence[Contest],
    *,
    current: Configuration,
    defaults: Configuration,
    fixed: Iterable[str] = (),
    memory_limit_mb: float | None = None,
) -> Adaptation:
    """The next values, one bounded step towards those with the least regret; `fixed` fields stay as they are.

    Args:
        found: Of `contests`.
        current: In force.
        defaults: The service's settings.
        fixed: Names of fields.
        memory_limit_mb: As of `regret`.
    """
    if len(found) < LEAST_CONTESTS:
        words = (
            f"{len(found)} workloads were measured under several strategies, {LEAST_CONTESTS} are needed: compare "
            "strategies, or let the choice explore"
        )
        return Adaptation(current, len(found), None, None, None, words)
    free = [field for field in FIELDS if field not in set(fixed)]
    target = current
    for _ in range(_PASSES):
        for field in free:
            target = _improved(found, target, field, memory_limit_mb)
    suggested = _stepped(found, current, target)
    if suggested != current and not _is_lower(found, current, suggested, memory_limit_mb):
        suggested = current
    return _adaptation(found, defaults, current, suggested, memory_limit_mb)


def _outcome(group: Sequence[Measured]) -> Outcome:
    predicted = group[-1].predicted
    assert predicted is not None
    return Outcome(predicted, median_figures([each.measured for each in group]))


def _is_ruled_out(strategy: Strategy, configuration: Configuration, model_count: int, memory_mb: float | None) -> bool:
    return bool(objections(strategy, configuration, model_count=model_count, memory_mb=memory_mb))


def _behind(chosen: Figures, contest: Contest, memory_limit_mb: float | None) -> float:
    measured = {way: outcome.measured for way, outcome in contest.outcomes.items()}
    limit = memory_limit_mb if memory_limit_mb is not None else float("inf")
    allowed = [figures for figures in measured.values() if figures.memory_mb <= limit] or list(measured.values())
    figures, own = [each.of(contest.goal) for each in allowed], chosen.of(contest.goal)
    if contest.goal.higher_is_better:
        lost = max(figures) / own - 1
    else:
        # Memory may be measured as nothing, or less than that.
        lost = own / min(figures) - 1 if min(figures) > 0 else 0.0
    over = chosen.memory_mb / limit - 1
    return max(0.0, lost, over)


def _common(
    found: Sequence[Contest], configurations: Sequence[Configuration], memory_limit_mb: float | None
) -> list[list[float]]:
    """Regrets of each configuration on the workloads that tell of all of them."""
    rows = [[regret(each, one, memory_limit_mb=memory_limit_mb) for one in configurations] for each in found]
    told = [[value for value in row if value is not None] for row in rows if None not in row]
    return [list(column) for column in zip(*told, strict=True)]


def _is_lower(
    found: Sequence[Contest], one: Configuration, other: Configuration, memory_limit_mb: float | None
) -> bool:
    regrets = _common(found, [one, other], memory_limit_mb)
    return bool(regrets) and fmean(regrets[1]) < fmean(regrets[0])


def _gain(
    found: Sequence[Contest], one: Configuration, other: Configuration, memory_limit_mb: float | None
) -> float | None:
    """By how much the other lowers the mean regret; None where it does not beyond chance."""
    regrets = _common(found, [one, other], memory_limit_mb)
    if not regrets or len(regrets[0]) < LEAST_CONTESTS:
        return None
    gains = [before - after for before, after in zip(*regrets, strict=True)]
    gain, error = fmean(gains), stdev(gains) / sqrt(len(gains))
    return gain if gain > max(_LEAST_GAIN, _STANDARD_ERRORS * error) else None


def _improved(
    found: Sequence[Contest], start: Configuration, field: str, memory_limit_mb: float | None
) -> Configuration:
    """With the value of one field that lowers the regret most, if any does beyond chance; the nearest of equals."""
    best, best_gain = start, 0.0
    for value in _candidates(found, start, field):
        candidate = replace(start, **_one(field, value))
        gain = _gain(found, start, candidate, memory_limit_mb)
        if gain is not None and gain > best_gain + 1e-9:
            best, best_gain = candidate, gain
    return best


def _one(field: str, value: float | None) -> dict[str, Any]:
    return {field: value}


def _candidates(found: Sequence[Contest], start: Configuration, field: str) -> list[float | None]:
    """Values that make a difference, the nearest to that of `start` first."""
    values: Sequence[float | None]
    if field == "batching_size":
        values = sorted({size for each in found for strategy, size in each.outcomes if strategy is Strategy.BATCHED})
        near = float(start.batching_size)
    elif field == "memory_threshold_mb":
        levels = sorted({ceil(each) for each in _memories(found)})
        values = [*levels[:: max(1, len(levels) // _MOST_MEMORY_LEVELS)], None]
        near = start.memory_threshold_mb if start.memory_threshold_mb is not None else max(levels)
    else:
        counts = {each.model_count for each in found}
        values = [*sorted(count - 1 for count in counts), None]
        current = getattr(start, field)
        near = current if current is not None else max(counts)
    return sorted(values, key=lambda value: float("inf") if value is None else abs(value - near))


def _memories(found: Sequence[Contest]) -> list[float]:
    return [outcome.predicted.memory_mb for each in found for outcome in each.outcomes.values()]


def _stepped(found: Sequence[Contest], current: Configuration, target: Configuration) -> Configuration:
    """One bounded step of every field. A bound that is not there counts as the largest that would make none."""
    most = max(each.model_count for each in found)
    steps: dict[str, Any] = {}
    for field in ("parallel_threshold", "sequential_threshold"):
        steps[field] = _step(getattr(current, field), getattr(target, field), ceiling=most, step=_THRESHOLD_STEP)
    steps["batching_size"] = _next_size(found, current.batching_size, target.batching_size)
    ceiling = ceil(max(_memories(found)))
    start = ceiling if current.memory_threshold_mb is None else min(current.memory_threshold_mb, ceiling)
    down = start - start / _MEMORY_FACTOR
    up = start * _MEMORY_FACTOR - start
    falls = target.memory_threshold_mb is not None and target.memory_threshold_mb < start
    steps["memory_threshold_mb"] = _step(
        current.memory_threshold_mb, target.memory_threshold_mb, ceiling=ceiling, step=down if falls else up
    )
    return replace(current, **steps)


def _next_size(found: Sequence[Contest], current: int, target: int) -> int:
    """The nearest size that was measured, on the way to the target."""
    sizes = {size for each in found for strategy, size in each.outcomes if strategy is Strategy.BATCHED}
    on_the_way = [size for size in sizes if min(current, target) <= size <= max(current, target) and size != current]
    return min(on_the_way, key=lambda size: abs(size - current), default=current)


def _step(current: float | None, target: float | None, *, ceiling: float, step: float) -> float | None:
    if current == target:
        return current
    start = ceiling if current is None else min(current, ceiling)
    goal = ceiling if target is None else min(target, ceiling)
    moved = max(goal, start - step) if goal < start else min(goal, start + step)
    return None if target is None and moved >= ceiling else moved


def _adaptation(
    found: Sequence[Contest],
    defaults: Configuration,
    current: Configuration,
    suggested: Configuration,
    memory_limit_mb: float | None,
) -> Adaptation:
    regrets = _common(found, [defaults, current, suggested], memory_limit_mb)
    means = [fmean(each) for each in regrets] if regrets else [None, None, None]
    count = len(regrets[0]) if regrets else 0
    if suggested == current:
        words = f"no other values had less regret beyond chance over {len(found)} workloads"
    else:
        words = f"over {count} workloads the mean regret is {means[2]:.1%} with the new values, {means[1]:.1%} without"
    return Adaptation(suggested, len(found), means[0], means[1], means[2], words)
