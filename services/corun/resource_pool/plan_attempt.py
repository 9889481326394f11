"""One attempt at a plan in the browsers of one lease: prepared, warmed up, measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.idleness import until_idle
from corun.resource_pool.browser.lane import Lane, RunReply
from corun.resource_pool.browser.memory import MemorySampler
from corun.resource_pool.browser.other_programs import OtherPrograms
from corun.resource_pool.core import events
from corun.resource_pool.core.engine_choice import EngineChoice
from corun.resource_pool.core.measurement import LaneUse, TimedRun, figures
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.core.plan import EnginePlan, PlannedRun
from corun.resource_pool.models import Model
from corun.resource_pool.plan_inputs import Batch, handed_out
from corun.resource_pool.plan_order import Place, PlanOrder, has_session_per_shape
from corun.resource_pool.pool import Lease
from corun.resource_pool.preparation import Emit, LeasedLane, Preparation

# The first runs of a session compile: shaders once, WebAssembly in tiers. Warm-up goes on until two runs in a row
# were no clearly faster than the best before them.
_WARM_GAIN = 0.05
_WARM_STEADY_RUNS = 2
_WARM_RUNS_MOST = 10
_WARM_SECONDS = 15.0
# While browsers become idle, threads sleep and caches lose what runs need: the next pass over a plan of short runs is
# up to twice as slow, which is nothing to a pass as long as this.
_LONG_PASS_MS = 5000.0
# Where a browser never becomes idle it is measured as it is.
_LONGEST_UNTIL_IDLE_SECONDS = 60.0

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Timing:
    runs: list[TimedRun] = field(default_factory=list)
    latencies_ms: dict[int, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    outputs: dict[Place, list[tuple[Batch, RunReply]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Copy:
    """One replica's lanes, by their number in the plan as split by engine."""

    replica: int
    lanes: tuple[LeasedLane, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a plan, in the browsers of one lease."""

    preparation: Preparation
    order: PlanOrder
    lease: Lease
    split: EnginePlan
    choices: Mapping[str, EngineChoice]
    emit: Emit
    retries: int

    async def measured(self, needs: tuple[ConnectionNeed, ...]) -> events.Measured:
        """Prepares the browsers, which were leased for these needs, runs the plan, and measures it."""
        begin = time.perf_counter()
        lanes = await self.preparation.lanes(self.lease, needs)
        copies = self._copies(needs, lanes)
        self._announce(lanes)
        await _together(*(self._load_connection(copies, connection) for connection in range(len(needs))))
        loaded = time.perf_counter()
        had_to_warm_up = await self._warm_up(copies)
        warm = time.perf_counter()
        if had_to_warm_up:
            self.emit(events.WarmedUp((warm - loaded) * 1000))
        scales = [connection.scales for connection in self.lease.connections]
        others = OtherPrograms([connection.main_process for connection in self.lease.connections])
        async with MemorySampler(scales, interval_seconds=self.order.rules.memory_interval_seconds) as sampler, others:
            timing = await self._measure(copies)
        memory = sampler.peak_over(sum(connection.idle_memory_mb for connection in self.lease.connections))
        self._hand_out(timing)
        await self._clear(copies)
        first = copies[0].lanes[0]
        latencies = [timing.latencies_ms[iteration] for iteration in sorted(timing.latencies_ms)]
        return events.Measured(
            figures=figures(
                iteration_latencies_ms=latencies,
                item_count=self.order.plan.item_count,
                wall_seconds=timing.wall_seconds,
                memory_mb=memory.peak_mb,
            ),
            iteration_latencies_ms=tuple(latencies),
            runs=tuple(sorted(timing.runs, key=lambda run: (run.iteration, run.stage, run.run))),
            memory=memory,
            queue_time_ms=self.lease.queue_time_ms,
            load_time_ms=(loaded - begin) * 1000,
            warmup_time_ms=(warm - loaded) * 1000,
            engine=first.connection.engine.name,
            adapter=first.lane.adapter,
            software_adapter=first.lane.software_adapter,
            weights_origins={name: model.weights_origin for name, model in self.order.models.items()},
            model_sha256s={name: model.sha256 for name, model in self.order.models.items()},
            retry_count=self.retries,
            lanes=tuple(self._lane_uses(copies)),
            other_programs_cores=others.cores,
            fallbacks=tuple(dict.fromkeys(each.fallback for each in self.choices.values() if each.fallback)),
        )

    def _copies(self, needs: tuple[ConnectionNeed, ...], lanes: list[list[LeasedLane]]) -> list[_Copy]:
        """Sorts the lanes of all browsers into replicas, each by the lane's number in the split plan."""
        engines = self.split.engines
        found = []
        for replica in range(self.split.plan.replicas):
            remaining = {
                need.engine: iter(own[replica * engines.count(need.engine) :])
                for need, own in zip(needs, lanes, strict=True)
            }
            found.append(_Copy(replica, tuple(next(remaining[engine]) for engine in engines)))
        return found

    def _announce(self, lanes: list[list[LeasedLane]]) -> None:
        for own in lanes:
            lane, connection = own[0].lane, own[0].connection
            self.emit(
                events.Leased(
                    connection.connection_id,
                    connection.engine.name,
                    lane.adapter,
                    lane.software_adapter,
                    self.lease.queue_time_ms,
                )
            )

    async def _load_connection(self, copies: list[_Copy], connection: int) -> None:
        """Loads what one browser needs: all its lanes with the same model at once, for they share the file."""
        own = self.lease.connections[connection]
        wanted: dict[str, list[tuple[int, LeasedLane]]] = {}
        for copy in copies:
            for number, need in enumerate(self.split.plan.lane_needs()):
                if copy.lanes[number].connection is own:
                    for name in sorted(need.model_names):
                        wanted.setdefault(name, []).append((number, copy.lanes[number]))
        # A lane's memory never shrinks: what loading the largest has taken is room for the others after it.
        for name in sorted(wanted, key=lambda name: self.order.models[name].size_bytes, reverse=True):
            await _together(*(self._load(name, number, at) for number, at in wanted[name]))
        for copy in copies:
            for at, batch, model in self._distinct_batches(copy):
                if at.connection is own and (batch.tensors is not None or batch.slot not in at.lane.slots):
                    await self.preparation.put(at, batch.slot, await self._inputs(batch, model))
                    at.lane.slots.add(batch.slot)

    async def _inputs(self, batch: Batch, model: Model) -> Mapping[str, Array]:
        if batch.tensors is not None:
            return batch.tensors
        return await asyncio.to_thread(model.sample_inputs, batch.item_count)

    async def _load(self, name: str, number: int, at: LeasedLane) -> None:
        model = self.order.models[name]
        load_time_ms, already = await self.preparation.load(at, model)
        lane_number = self.split.lane_numbers[number]
        self.emit(events.ModelLoaded(name, lane_number, load_time_ms, model.weights_origin, already))

    async def _warm_up(self, copies: list[_Copy]) -> bool:
        """Warms up what is not warm; False where everything was."""
        cold = [
            (at, batch, model)
            for copy in copies
            for at, batch, model in self._distinct_batches(copy)
            if batch.tensors is not None or batch.slot not in at.lane.warm_slots
        ]
        pass_ms = 0.0
        for at, batch, model in cold:
            if has_session_per_shape(model, at.lane.platform):
                at.lane.shapes.add(batch.slot)
            # What a caller brings is not made to wait: it is there for its outputs.
            at.lane.settled &= batch.tensors is not None
            pass_ms += await self._warm(at, batch, model)
        lanes = {at.lane for copy in copies for at in copy.lanes}
        old_enough = max(lane.opened_at for lane in lanes) + self.order.rules.settle_seconds
        passes = 0
        while passes < self.order.warmup_iterations or time.monotonic() < old_enough:
            await self._pass(copies)
            passes += 1
        if await self._settle(lanes) and pass_ms < _LONG_PASS_MS:
            await self._pass(copies)
        return bool(cold or passes)

    async def _settle(self, lanes: Collection[Lane]) -> bool:
        """Waits until the browsers have compiled what was warmed up in these lanes; False where they had before."""
        if not self.order.rules.settle_seconds or all(lane.settled for lane in lanes):
            return False
        self.lease.renew(_LONGEST_UNTIL_IDLE_SECONDS)
        mains = [connection.main_process for connection in self.lease.connections]
        if not await until_idle(mains, longest_seconds=_LONGEST_UNTIL_IDLE_SECONDS):
            _log.warning("a browser is measured though it is busy", waited_seconds=_LONGEST_UNTIL_IDLE_SECONDS)
        for lane in lanes:
            lane.settled = True
        return True

    async def _pass(self, copies: list[_Copy]) -> None:
        for number in range(len(self.split.plan.stages)):
            await _together(*(self._run_stage(copy, number) for copy in copies))

    async def _warm(self, at: LeasedLane, batch: Batch, model: Model) -> float:
        """Runs a batch until it is as fast as it gets; gives how long that takes, milliseconds."""
        begin, best, steady = time.perf_counter(), float("inf"), 0
        for _ in range(_WARM_RUNS_MOST):
            reply = await self.preparation.run(at, model.name, slot=batch.slot)
            steady = steady + 1 if reply.run_time_ms > best * (1 - _WARM_GAIN) else 0
            best = min(best, reply.run_time_ms)
            if steady == _WARM_STEADY_RUNS or time.perf_counter() - begin > _WARM_SECONDS:
                break
        at.lane.warm_slots.add(batch.slot)
        return best

    def _distinct_batches(self, copy: _Copy) -> list[tuple[LeasedLane, Batch, Model]]:
        found = {}
        for number, stage in enumerate(self.split.plan.stages):
            for index, run in enumerate(stage):
                for batch in self.order.batches[number, index]:
                    found[run.lane, batch.slot] = (copy.lanes[run.lane], batch, self.order.models[run.model_name])
        return list(found.values())

    async def _measure(self, copies: list[_Copy]) -> _Timing:
        timing = _Timing()
        numbers = iter(range(self.order.iterations))
        begin = time.perf_counter()
        ends = await _together(*(self._iterate(copy, numbers, timing, begin) for copy in copies))
        timing.wall_seconds = max(ends) - begin
        return timing

    async def _iterate(self, copy: _Copy, numbers: Iterator[int], timing: _Timing, begin: float) -> float:
        """Takes one iteration after another until none is left; gives when the last result was there."""
        end = begin
        for iteration in numbers:
            started = time.perf_counter()
            last = self.order.return_outputs and iteration == self.order.iterations - 1
            for number, stage in enumerate(self.split.plan.stages):
                for run in range(len(stage)):
                    self.emit(events.RunStarted(iteration, number, run))
                for run, replies in enumerate(await self._run_stage(copy, number, fetch=last)):
                    self._note(timing, copy, iteration, (number, run), replies)
                    if last:
                        timing.outputs[number, run] = list(zip(self.order.batches[number, run], replies, strict=True))
                    end = max(end, replies[-1].arrived_at)
            timing.latencies_ms[iteration] = (end - started) * 1000
            if self.order.iterations > 1:  # of a single one the measurement, which is next, says the same
                self.emit(events.IterationFinished(iteration, timing.latencies_ms[iteration]))
        return end

    def _note(self, timing: _Timing, copy: _Copy, iteration: int, place: Place, replies: list[RunReply]) -> None:
        stage = self.split.plan.stages[place[0]]
        planned = stage[place[1]]
        at = copy.lanes[planned.lane]
        timed = TimedRun(
            iteration=iteration,
            stage=place[0],
            run=place[1],
            model_name=planned.model_name,
            batch_size=planned.batch_size,
            lane_width=at.lane.width,
            concurrency=len(stage) * min(self.split.plan.replicas, self.order.iterations),
            run_time_ms=sum(reply.run_time_ms for reply in replies),
            engine=at.connection.engine.name,
            connection_id=at.connection.connection_id,
            boundary_bytes=sum(reply.boundary_bytes for reply in replies),
            replica=copy.replica,
        )
        timing.runs.append(timed)
        self.emit(events.RunFinished(timed))

    async def _run_stage(self, copy: _Copy, number: int, *, fetch: bool = False) -> list[list[RunReply]]:
        """Runs a stage; gives the replies of each run, one a batch."""
        stage = self.split.plan.stages[number]
        return await _together(
            *(self._run(copy, run, self.order.batches[number, i], fetch=fetch) for i, run in enumerate(stage))
        )

    async def _run(self, copy: _Copy, run: PlannedRun, batches: tuple[Batch, ...], *, fetch: bool) -> list[RunReply]:
        at = copy.lanes[run.lane]
        return [await self.preparation.run(at, run.model_name, slot=batch.slot, fetch=fetch) for batch in batches]

    def _hand_out(self, timing: _Timing) -> None:
        for (stage, index), replies in sorted(timing.outputs.items()):
            run = self.order.plan.stages[stage][index]
            model = self.order.models[run.model_name]
            for batch, reply in replies:
                for member, outputs, results in handed_out(batch, model, reply.outputs):
                    self.emit(events.MemberDone(member, model.name, outputs, results))

    async def _clear(self, copies: list[_Copy]) -> None:
        """Takes the caller's inputs out of the lanes again; samples stay for the next plan."""
        for copy in copies:
            for at, batch, _ in self._distinct_batches(copy):
                if batch.tensors is not None:
                    await self.preparation.drop(at, batch.slot)
                    at.lane.slots.discard(batch.slot)
                    at.lane.warm_slots.discard(batch.slot)

    def _lane_uses(self, copies: list[_Copy]) -> Iterator[LaneUse]:
        needs = self.split.plan.lane_needs()
        for copy in copies:
            for number, at in enumerate(copy.lanes):
                yield LaneUse(
                    lane=self.split.lane_numbers[number],
                    replica=copy.replica,
                    connection_id=at.connection.connection_id,
                    engine=at.connection.engine.name,
                    adapter=at.lane.adapter,
                    software_adapter=at.lane.software_adapter,
                    width=at.lane.width,
                    wasm_memory_mb=at.lane.wasm_bytes / 1e6,
                    model_names=tuple(sorted(needs[number].model_names)),
                )


async def _together(*work: Coroutine[None, None, T]) -> list[T]:
    """All at the same time; when one fails the others are given up, and have let go of their lanes on return."""
    if len(work) == 1:  # a task of its own would cost turns of the loop, which count as latency
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
