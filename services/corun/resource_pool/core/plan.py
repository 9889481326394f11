"""The schedule that the pool carries out, and what it needs of a browser."""

from __future__ import annotations

from dataclasses import dataclass

from corun.errors import InvalidField


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One inference: `batch_size` items of a model in lane number `lane` of the plan."""

    model_name: str
    batch_size: int
    lane: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages of runs. The runs of a stage go at the same time; stages go one after another.

    `lane_widths` holds the threads of each lane by its number.
    """

    stages: tuple[tuple[PlannedRun, ...], ...]
    lane_widths: tuple[int, ...]

    @property
    def item_count(self) -> int:
        """Items in one pass over the plan."""
        return sum(run.batch_size for stage in self.stages for run in stage)

    def lane_needs(self) -> tuple[LaneNeed, ...]:
        """What each lane must hold, by lane number."""
        models: list[set[str]] = [set() for _ in self.lane_widths]
        for stage in self.stages:
            for run in stage:
                models[run.lane].add(run.model_name)
        return tuple(LaneNeed(width, frozenset(names)) for width, names in zip(self.lane_widths, models, strict=True))


@dataclass(frozen=True, slots=True)
class LaneNeed:
    """A lane that a plan asks for: its threads and the models it runs."""

    width: int
    model_names: frozenset[str]


def check_plan(plan: Plan, *, core_count: int) -> None:
    """Refuses a plan that cannot be carried out.

    Raises:
        InvalidField: a run names a lane without a width, two runs of a stage share a lane, a lane is
            wider than the machine, or a lane has nothing to run.
    """
    for number, stage in enumerate(plan.stages):
        seen: set[int] = set()
        for index, run in enumerate(stage):
            field = f"plan.stages[{number}].runs[{index}].lane"
            if run.lane >= len(plan.lane_widths):
                raise InvalidField(
                    field, f"lane {run.lane} has no entry in lane_widths (0 to {len(plan.lane_widths) - 1})"
                )
            if run.lane in seen:
                raise InvalidField(field, f"lane {run.lane} is used twice in one stage; runs in a lane never overlap")
            seen.add(run.lane)
    for lane, need in enumerate(plan.lane_needs()):
        field = f"plan.lane_widths[{lane}]"
        check_width(need.width, core_count=core_count, field=field)
        if not need.model_names:
            raise InvalidField(field, "no run uses this lane")


def check_width(width: int, *, core_count: int, field: str) -> None:
    """Refuses a lane with more threads than there are cores.

    Raises:
        InvalidField: naming `field`.
    """
    if width > core_count:
        raise InvalidField(field, f"{width} threads on {core_count} cores; allowed: 1 to {core_count}")
