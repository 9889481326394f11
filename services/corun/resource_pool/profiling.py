"""Measures a model alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.core.engine_choice import Fallback
from corun.resource_pool.core.events import Event, Measured, ModelLoaded
from corun.resource_pool.core.plan import Plan, PlannedRun
from corun.resource_pool.execution import PlanExecution, PlanOrder
from corun.resource_pool.models import Model
from corun.resource_pool.plan_inputs import batches_of
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to run a model: items, and threads of the lane."""

    batch_size: int
    lane_width: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a setting measured: every counted run (ms), peak memory over the idle browser (MB), loading (ms)."""

    setting: Setting
    run_times_ms: tuple[float, ...]
    memory_mb: float
    load_time_ms: float
    engine: str
    adapter: str
    fallback: Fallback | None


async def profile(
    model: Model,
    settings: Sequence[Setting],
    *,
    platform: str,
    preferred_engine: str,
    run_count: int,
    pool: Pool,
    preparation: Preparation,
    capabilities: Capabilities,
    memory_interval_seconds: float,
    deadline: float,
) -> list[Profile]:
    """Runs the model `run_count` times under each setting, as a plan of a single run, after a warm-up."""
    profiles = []
    for setting in settings:
        run = PlannedRun(model.name, setting.batch_size, 0)
        order = PlanOrder(
            plan=Plan(((run,),), (setting.lane_width,)),
            models={model.name: model},
            platform=platform,
            batches={(0, 0): batches_of(run, model, {})},
            preferences={model.model_type: preferred_engine},
            iterations=run_count,
            memory_interval_seconds=memory_interval_seconds,
            deadline=deadline,
        )
        execution = PlanExecution(pool, preparation, capabilities, order)
        loads: list[float] = []

        def note_loads(event: Event, loads: list[float] = loads) -> None:
            if isinstance(event, ModelLoaded):
                loads.append(event.load_time_ms)

        measured = await execution.run(note_loads)
        profiles.append(_profile(setting, measured, sum(loads)))
    return profiles


def _profile(setting: Setting, measured: Measured, load_time_ms: float) -> Profile:
    return Profile(
        setting=setting,
        run_times_ms=tuple(run.run_time_ms for run in measured.runs),
        memory_mb=measured.figures.memory_mb,
        load_time_ms=load_time_ms,
        engine=measured.engine,
        adapter=measured.adapter,
        fallback=next(iter(measured.fallbacks), None),
    )
