"""The schedule that the pool carries out, and what it needs of a browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from corun.errors import InvalidField


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One inference: `batch_size` items of a model in lane number `lane` of the plan, for these `members` of the
    workload."""

    model_name: str
    batch_size: int
    lane: int
    members: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages of runs. The runs of a stage go at the same time; stages go one after another.

    Attributes:
        stages: The schedule.
        lane_widths: Threads of each lane by its number.
        replicas: Copies of the lanes; as many iterations are in flight at once.
    """

    stages: tuple[tuple[PlannedRun, ...], ...]
    lane_widths: tuple[int, ...]
    replicas: int = 1

    @property
    def item_count(self) -> int:
        """Items in one pass over the plan."""
        return sum(run.batch_size for stage in self.stages for run in stage)

    def lane_needs(
        self, shapes: Mapping[tuple[int, int], Collection[str] | None] | None = None
    ) -> tuple[LaneNeed, ...]:
        """What each lane must hold, by lane number. `shapes` are those of a run by its stage and its place there, where
        a session is of one shape; None: its lane may have any."""
        models: list[set[str]] = [set() for _ in self.lane_widths]
        own: list[set[str]] = [set() for _ in self.lane_widths]
        any_shape: set[int] = set()
        for number, stage in enumerate(self.stages):
            for index, run in enumerate(stage):
                models[run.lane].add(run.model_name)
                found = (shapes or {}).get((number, index), ())
                if found is None:
                    any_shape.add(run.lane)
                else:
                    own[run.lane].update(found)
        return tuple(
            LaneNeed(width, frozenset(names), shapes=None if lane in any_shape else frozenset(own[lane]))
            for lane, (width, names) in enumerate(zip(self.lane_widths, models, strict=True))
        )


@dataclass(frozen=True, slots=True)
class LaneNeed:
    """A lane that is asked for.

    Attributes:
        width: Threads.
        model_names: Models that it runs.
        lane_id: This very lane.
        shapes: Of the inputs that sessions are built for, where a session is of one shape. With None it may have
            sessions of any.
    """

    width: int
    model_names: frozenset[str]
    lane_id: str = ""
    shapes: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """A plan in which every lane belongs to one engine.

    Attributes:
        plan: As asked for, but that lanes whose models prefer different engines are split, one part an engine.
        engines: Of each lane.
        lane_numbers: Of each lane, its number in the plan that was asked for.
    """

    plan: Plan
    engines: tuple[str, ...]
    lane_numbers: tuple[int, ...]


def split_by_engine(plan: Plan, engine_of_model: Mapping[str, str]) -> EnginePlan:
    """Gives every model to its engine. The order of runs stays: what was one lane never overlapped, nor do its parts,
    for two runs of one lane are in different stages."""
    parts: dict[tuple[int, str], int] = {}
    stages = []
    for stage in plan.stages:
        runs = []
        for run in stage:
            part = parts.setdefault((run.lane, engine_of_model[run.model_name]), len(parts))
            runs.append(PlannedRun(run.model_name, run.batch_size, part, run.members))
        stages.append(tuple(runs))
    numbers = tuple(lane for lane, _ in parts)
    widths = tuple(plan.lane_widths[lane] for lane in numbers)
    return EnginePlan(Plan(tuple(stages), widths, plan.replicas), tuple(engine for _, engine in parts), numbers)


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
