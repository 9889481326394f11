"""Carries out a plan in a browser and measures it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from corun.errors import BrowserLost
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.memory import MemorySampler
from corun.resource_pool.core import events
from corun.resource_pool.core.measurement import TimedRun, figures
from corun.resource_pool.core.plan import Plan, PlannedRun
from corun.resource_pool.models import Model
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Emit, Preparation

_MOST_RETRIES = 1

# The first runs of a session compile: shaders once, WebAssembly in tiers. Warm-up goes on until two runs in a row
# were no clearly faster than the best before them.
_WARM_GAIN = 0.05
_WARM_STEADY_RUNS = 2
_WARM_RUNS_MOST = 10
_WARM_SECONDS = 15.0


@dataclass(slots=True)
class _Timing:
    runs: list[TimedRun] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    wall_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """One plan to be carried out `iterations` times.

    Attributes:
        models: Every model of the plan by name.
        warmup_iterations: Passes over the whole plan before the first measured one.
        memory_interval_seconds: Shortest pause between two samples of memory.
    """

    pool: Pool
    preparation: Preparation
    models: Mapping[str, Model]
    plan: Plan
    platform: str
    iterations: int
    warmup_iterations: int
    memory_interval_seconds: float

    async def run(self, emit: Emit) -> events.Measured:
        """Carries the plan out, telling `emit` what happens; a lost browser costs one retry in another.

        Raises:
            BrowserLost: the second browser was lost too.
            InferenceFailed, PlatformUnavailable, PoolFull, StepTimedOut
        """
        retries = 0
        while True:
            try:
                return await self._attempt(emit, retries)
            except BrowserLost as error:
                if retries == _MOST_RETRIES:
                    raise
                retries += 1
                emit(events.Retried(error.cause))

    async def _attempt(self, emit: Emit, retries: int) -> events.Measured:
        needs = self.plan.lane_needs()
        sizes = {name: model.size_bytes for name, model in self.models.items()}
        async with self.pool.lease(needs, platform=self.platform, model_sizes=sizes, exclusive=True) as lease:
            begin = time.perf_counter()
            lanes = await self.preparation.lanes(lease, needs, platform=self.platform)
            adapter, software = lanes[0].adapter, lanes[0].software_adapter
            browser = lease.connection
            emit(events.Leased(browser.connection_id, browser.engine.name, adapter, software, lease.queue_time_ms))
            await self._load(lanes, emit)
            loaded = time.perf_counter()
            await self._warm_up(lanes)
            warm = time.perf_counter()
            emit(events.WarmedUp((warm - loaded) * 1000))
            async with MemorySampler(browser.main_process, interval_seconds=self.memory_interval_seconds) as sampler:
                timing = await self._measure(lanes, emit)
            memory = sampler.peak_over(browser.idle_memory_mb)
        return events.Measured(
            figures=figures(
                iteration_latencies_ms=timing.latencies_ms,
                item_count=self.plan.item_count,
                wall_seconds=timing.wall_seconds,
                memory_mb=memory.peak_mb,
            ),
            iteration_latencies_ms=tuple(timing.latencies_ms),
            runs=tuple(timing.runs),
            memory=memory,
            queue_time_ms=lease.queue_time_ms,
            load_time_ms=(loaded - begin) * 1000,
            warmup_time_ms=(warm - loaded) * 1000,
            engine=browser.engine.name,
            adapter=adapter,
            software_adapter=software,
            weights_origins={name: model.weights_origin for name, model in self.models.items()},
            retry_count=retries,
        )

    async def _load(self, lanes: list[Lane], emit: Emit) -> None:
        for number, (lane, need) in enumerate(zip(lanes, self.plan.lane_needs(), strict=True)):
            for name in sorted(need.model_names):
                await self.preparation.load(lane, self.models[name], lane_number=number, emit=emit)
        for lane, run in self._distinct_runs(lanes):
            slot = _slot(run)
            if slot not in lane.slots:
                inputs = await asyncio.to_thread(self.models[run.model_name].sample_inputs, run.batch_size)
                await self.preparation.put(lane, slot, inputs)
                lane.slots.add(slot)

    async def _warm_up(self, lanes: list[Lane]) -> None:
        for lane, run in self._distinct_runs(lanes):
            slot = _slot(run)
            if slot in lane.warm_slots:
                continue
            begin, best, steady = time.perf_counter(), float("inf"), 0
            for _ in range(_WARM_RUNS_MOST):
                reply = await self.preparation.run(lane, run.model_name, slot)
                steady = steady + 1 if reply.run_time_ms > best * (1 - _WARM_GAIN) else 0
                best = min(best, reply.run_time_ms)
                if steady == _WARM_STEADY_RUNS or time.perf_counter() - begin > _WARM_SECONDS:
                    break
            lane.warm_slots.add(slot)
        for _ in range(self.warmup_iterations):
            for stage in self.plan.stages:
                await self._run_stage(lanes, stage)

    def _distinct_runs(self, lanes: list[Lane]) -> list[tuple[Lane, PlannedRun]]:
        found = {(run.lane, run.model_name, run.batch_size): run for stage in self.plan.stages for run in stage}
        return [(lanes[run.lane], run) for run in found.values()]

    async def _measure(self, lanes: list[Lane], emit: Emit) -> _Timing:
        timing = _Timing()
        begin = end = time.perf_counter()
        for iteration in range(self.iterations):
            started = time.perf_counter()
            for number, stage in enumerate(self.plan.stages):
                for run in range(len(stage)):
                    emit(events.RunStarted(iteration, number, run))
                for run, (run_time_ms, arrived_at) in enumerate(await self._run_stage(lanes, stage)):
                    planned = stage[run]
                    timed = TimedRun(
                        iteration=iteration,
                        stage=number,
                        run=run,
                        model_name=planned.model_name,
                        batch_size=planned.batch_size,
                        lane_width=lanes[planned.lane].width,
                        concurrency=len(stage),
                        run_time_ms=run_time_ms,
                    )
                    timing.runs.append(timed)
                    emit(events.RunFinished(timed))
                    end = max(end, arrived_at)
            latency_ms = (end - started) * 1000
            timing.latencies_ms.append(latency_ms)
            emit(events.IterationFinished(iteration, latency_ms))
        timing.wall_seconds = end - begin
        return timing

    async def _run_stage(self, lanes: list[Lane], stage: tuple[PlannedRun, ...]) -> list[tuple[float, float]]:
        """Runs a stage; gives back each run's time in its lane (ms) and when its reply arrived."""
        runs = [
            asyncio.ensure_future(self.preparation.run(lanes[run.lane], run.model_name, _slot(run))) for run in stage
        ]
        try:
            return [(reply.run_time_ms, reply.arrived_at) for reply in await asyncio.gather(*runs)]
        finally:
            for run in runs:
                run.cancel()


def _slot(run: PlannedRun) -> str:
    return f"{run.model_name}:{run.batch_size}"
