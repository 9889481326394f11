"""Plans carried out in real browsers, and what they measure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil
import pytest

from corun.resource_pool.config import Settings
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool, settled_settings
from tests.load import BUSY, program

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

TEXT, IMAGE, AUDIO = "paraphrase-minilm-l3-v2", "efficientnet-lite0", "silero-vad"


def parallel(*runs: tuple[str, int]) -> core_pb2.Plan:
    planned = [
        core_pb2.PlannedRun(model_name=name, batch_size=batch, lane=lane, members=[lane])
        for lane, (name, batch) in enumerate(runs)
    ]
    return core_pb2.Plan(
        strategy=core_pb2.STRATEGY_PARALLEL, stages=[core_pb2.Stage(runs=planned)], lane_widths=[1] * len(runs)
    )


def sequential(*runs: tuple[str, int]) -> core_pb2.Plan:
    stages = [
        core_pb2.Stage(runs=[core_pb2.PlannedRun(model_name=name, batch_size=batch, lane=0, members=[index])])
        for index, (name, batch) in enumerate(runs)
    ]
    return core_pb2.Plan(strategy=core_pb2.STRATEGY_SEQUENTIAL, stages=stages, lane_widths=[2])


def request(plan: core_pb2.Plan, *, iterations: int = 1, platform: str = "wasm") -> messages.ExecutePlanRequest:
    value = core_pb2.Platform.Value(f"PLATFORM_{platform.upper()}")
    return messages.ExecutePlanRequest(plan=plan, platform=value, iterations=iterations)


async def carry_out(
    pool: ResourcePoolServiceAsyncStub, plan: messages.ExecutePlanRequest
) -> list[messages.ExecutePlanResponse]:
    return [event async for event in pool.ExecutePlan(plan)]


async def test_three_models_in_parallel_are_measured_and_the_events_tell_the_story(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    events = await carry_out(pool, request(parallel((TEXT, 2), (IMAGE, 1), (AUDIO, 1)), iterations=3))

    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "leased"
    assert kinds.count("model_loaded") == 3
    assert kinds.count("run_started") == kinds.count("run_finished") == 9
    assert kinds.count("iteration_finished") == 3
    assert kinds[-1] == "measured"

    measured = events[-1].measured
    assert len(measured.iteration_latencies_ms) == 3
    assert {run.concurrency for run in measured.runs} == {3}
    for iteration, latency in enumerate(measured.iteration_latencies_ms):
        # The makespan holds its longest run, and in parallel it is shorter than the runs end to end.
        times = [run.run_time_ms for run in measured.runs if run.iteration == iteration]
        assert max(times) <= latency < sum(times) + 50
    wall_seconds = sum(measured.iteration_latencies_ms) / 1000
    assert measured.performance.throughput_items_per_second == pytest.approx(4 * 3 / wall_seconds, rel=0.1)
    assert measured.performance.memory_mb > 50
    assert measured.memory_sample_count >= 1
    assert measured.weights_origins[TEXT] == core_pb2.WEIGHTS_ORIGIN_PRETRAINED


async def test_a_sequential_plan_runs_one_after_another_in_one_lane(pool: ResourcePoolServiceAsyncStub) -> None:
    events = await carry_out(pool, request(sequential((TEXT, 1), (AUDIO, 1))))
    measured = events[-1].measured
    assert [(run.model_name, run.concurrency, run.lane_width) for run in measured.runs] == [(TEXT, 1, 2), (AUDIO, 1, 2)]
    total = sum(run.run_time_ms for run in measured.runs)
    assert measured.performance.latency_ms >= total


async def test_a_program_beside_a_plan_is_seen(pool: ResourcePoolServiceAsyncStub) -> None:
    plan = request(sequential((TEXT, 4)), iterations=20)
    with program(BUSY):
        (*_, beside) = await carry_out(pool, plan)
    (*_, alone) = await carry_out(pool, plan)
    assert beside.measured.HasField("other_programs_cores")
    assert alone.measured.HasField("other_programs_cores")
    # What else the machine does is in both.
    assert beside.measured.other_programs_cores > alone.measured.other_programs_cores + 0.2


async def test_a_plan_too_short_to_tell_says_nothing_of_other_programs(pool: ResourcePoolServiceAsyncStub) -> None:
    ends = [(await carry_out(pool, request(sequential((AUDIO, 1)))))[-1].measured for _ in range(5)]
    short = [measured for measured in ends if measured.performance.latency_ms < 200]
    assert short
    assert not any(measured.HasField("other_programs_cores") for measured in short)


async def test_a_second_run_of_the_same_plan_finds_its_models_loaded(pool: ResourcePoolServiceAsyncStub) -> None:
    plan = request(sequential((TEXT, 1), (AUDIO, 1)))
    await carry_out(pool, plan)
    events = await carry_out(pool, plan)
    loaded = [event.model_loaded for event in events if event.WhichOneof("event") == "model_loaded"]
    assert loaded
    assert all(each.already_loaded for each in loaded)


async def test_the_largest_model_is_loaded_first_for_what_that_takes_is_room_for_the_others() -> None:
    async with serve_pool(Settings(max_connections=1, core_count=2)) as pool:
        events = await carry_out(pool, request(sequential((AUDIO, 1), (IMAGE, 1), (TEXT, 1))))
    loaded = [event.model_loaded for event in events if event.WhichOneof("event") == "model_loaded"]
    assert not any(each.already_loaded for each in loaded)
    assert [each.model_name for each in loaded] == [TEXT, IMAGE, AUDIO]


async def test_webgpu_runs_and_says_that_its_adapter_is_software_where_it_is(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    events = await carry_out(pool, request(sequential((AUDIO, 1)), platform="webgpu"))
    measured = events[-1].measured
    assert measured.adapter
    assert measured.software_adapter == ("swiftshader" in measured.adapter or "llvmpipe" in measured.adapter)


async def test_cancelling_a_plan_frees_its_browser_for_the_next() -> None:
    async with serve_pool(Settings(max_connections=1, core_count=2)) as pool:
        call = pool.ExecutePlan(request(sequential((IMAGE, 16)), iterations=1000))
        async for event in call:
            if event.WhichOneof("event") == "run_finished":
                break
        call.cancel()
        async with asyncio.timeout(20):
            events = await carry_out(pool, request(sequential((AUDIO, 1))))
        assert events[-1].WhichOneof("event") == "measured"


async def test_closing_the_pool_leaves_no_browser_process() -> None:
    async with serve_pool(Settings(max_connections=1, core_count=2)) as pool:
        await carry_out(pool, request(sequential((AUDIO, 1))))
        status = await pool.GetPoolStatus(messages.GetPoolStatusRequest())
        main = psutil.Process(status.connections[0].process_id)
        family = [main, *main.children(recursive=True)]
    _, alive = psutil.wait_procs(family, timeout=3)
    assert alive == []


async def test_the_memory_of_a_plan_does_not_contain_that_of_the_plan_before_it() -> None:
    async with serve_pool(settled_settings()) as pool:
        alone = (await carry_out(pool, request(sequential((AUDIO, 1)))))[-1].measured.performance.memory_mb
        await carry_out(pool, request(sequential((TEXT, 4))))
        after = (await carry_out(pool, request(sequential((AUDIO, 1)))))[-1].measured.performance.memory_mb
    # The plan in between takes 300 MB and more.
    assert abs(after - alone) < 60
