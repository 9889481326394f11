"""Measures a model alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.core.engine_choice import Fallback
from corun.resource_pool.core.events import Event, Measured, ModelLoaded
from corun.resource_pool.core.plan import Plan, PlannedRun
from corun.resource_pool.core.profile_length import FIRST_RUNS, further_runs
from corun.resource_pool.execution import PlanExecution
from corun.resource_pool.models import Model
from corun.resource_pool.plan_inputs import batches_of
from corun.resource_pool.plan_order import MeasuringRules, PlanOrder
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to run a model: items, and threads of the lane."""

    batch_size: int
    lane_width: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a setting measured: every counted run (ms), peak memory over the idle browser (MB), loading (ms), and the
    cores that other programs used meanwhile, None where there was too little time to tell."""

    setting: Setting
    run_times_ms: tuple[float, ...]
    memory_mb: float
    load_time_ms: float
    engine: str
    adapter: str
    fallback: Fallback | None
    other_programs_cores: float | None = None


async def profile(
    model: Model,
    settings: Sequence[Setting],
    *,
    platform: str,
    preferred_engine: str,
    run_count: int | None,
    pool: Pool,
    preparation: Preparation,
    capabilities: Capabilities,
    rules: MeasuringRules,
    deadline: float,
) -> list[Profile]:
    """Runs the model under each setting as a plan of a single run, after a warm-up.

    `run_count` times, or if that is None as often as it takes to tell the time from the noise.
    """

    async def measured(setting: Setting, iterations: int) -> tuple[Measured, float]:
        run = PlannedRun(model.name, setting.batch_size, 0)
        order = PlanOrder(
            plan=Plan(((run,),), (setting.lane_width,)),
            models={model.name: model},
            platform=platform,
            batches={(0, 0): batches_of(run, model, {})},
            preferences={model.model_type: preferred_engine},
            iterations=iterations,
            rules=rules,
            deadline=deadline,
        )
        loads: list[float] = []

        def note_loads(event: Event) -> None:
            if isinstance(event, ModelLoaded):
                loads.append(event.load_time_ms)

        found = await PlanExecution(pool, preparation, capabilities, order).run(note_loads)
        return found, sum(loads)

    profiles = []
    for setting in settings:
        first, load_time_ms = await measured(setting, run_count or FIRST_RUNS)
        parts = [first]
        while run_count is None and (more := further_runs([run.run_time_ms for part in parts for run in part.runs])):
            parts.append((await measured(setting, more))[0])
        profiles.append(_profile(setting, parts, load_time_ms))
    return profiles


def _profile(setting: Setting, parts: Sequence[Measured], load_time_ms: float) -> Profile:
    last = parts[-1]
    others = [part.other_programs_cores for part in parts if part.other_programs_cores is not None]
    return Profile(
        setting=setting,
        run_times_ms=tuple(run.run_time_ms for part in parts for run in part.runs),
        memory_mb=max(part.figures.memory_mb for part in parts),
        load_time_ms=load_time_ms,
        engine=last.engine,
        adapter=last.adapter,
        fallback=next(iter(last.fallbacks), None),
        other_programs_cores=fmean(others) if others else None,
    )
