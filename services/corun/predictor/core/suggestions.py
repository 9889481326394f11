"""Which runs should be profiled so that a workload is predicted better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.planning.planner import Plan
from corun.predictor.core.history import History
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.workload import Environment, Workload


@dataclass(frozen=True, slots=True)
class ProfileSuggestion:
    """A run whose profile would narrow the intervals."""

    model_name: str
    batch_size: int
    lane_width: int


def suggest_profiles(
    knowledge: Knowledge, workload: Workload, environment: Environment, plans: Sequence[Plan]
) -> tuple[ProfileSuggestion, ...]:
    """The widest and the narrowest lane that the plans need for each model, at the workload's own batch sizes.

    Widths between are left to the speed-up law. In the widest lane a second batch size is asked for where other
    sizes follow from one: what does not grow with the batch differs too much from model to model to be assumed.
    """
    widths = _needed_widths(plans)
    copies = Counter(model.model_name for model in workload.models)
    any_width = knowledge.calibration(environment.place).rates.one_device
    suggestions: dict[ProfileSuggestion, None] = {}
    for model in workload.models:
        name, batch_size = model.model_name, model.batch_size
        history = knowledge.histories.get((environment.place, name))
        observed: Mapping[int, object] = history.times if history is not None else {}
        widest, narrowest = max(widths[name]), min(widths[name])
        missing = {widest, narrowest} - observed.keys()
        if any_width:
            missing = set() if observed else {widest}
        for width in sorted(missing, reverse=True):
            suggestions[ProfileSuggestion(name, batch_size, width)] = None
        graph = knowledge.features.get(name)
        if graph is not None and graph.dynamic_batch and (batch_size > 1 or copies[name] > 1):
            for other in _missing_batches(history, batch_size):
                suggestions[ProfileSuggestion(name, other, widest)] = None
    return tuple(suggestions)


def _needed_widths(plans: Sequence[Plan]) -> dict[str, set[int]]:
    needed: dict[str, set[int]] = {}
    for plan in plans:
        for stage in plan.stages:
            for run in stage.runs:
                needed.setdefault(run.model_name, set()).add(plan.lane_widths[run.lane])
    return needed


def _missing_batches(history: History | None, batch_size: int) -> list[int]:
    """What makes two batch sizes, together with those observed: the model's own, and a single item or twice as many."""
    seen = {each.batch_size for samples in history.samples.values() for each in samples} if history else set()
    wanted = [each for each in (batch_size, 1 if batch_size > 1 else 2) if each not in seen]
    return wanted[: max(0, 2 - len(seen))]
