"""What a client waits for beyond the measured makespan: RPC time of ExecutePlan less its latency."""

from __future__ import annotations

import statistics
import time

from corun.resource_pool.config import Settings
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.bench.report import show
from tests.browser.running import serve_pool

ROUNDS = 60
MODEL = "silero-vad"


async def bench() -> dict[str, float]:
    """Median overhead in milliseconds of a warm execution of one run."""
    run = core_pb2.PlannedRun(model_name=MODEL, batch_size=1, lane=0, members=[0])
    plan = core_pb2.Plan(strategy=core_pb2.STRATEGY_SEQUENTIAL, stages=[core_pb2.Stage(runs=[run])], lane_widths=[1])
    request = messages.ExecutePlanRequest(plan=plan, platform=core_pb2.PLATFORM_WASM)
    whole, makespans, overheads = [], [], []
    async with serve_pool(Settings(max_connections=1)) as pool:
        for round_number in range(ROUNDS + 5):
            begin = time.perf_counter()
            events = [event async for event in pool.ExecutePlan(request)]
            elapsed = (time.perf_counter() - begin) * 1000
            latency = events[-1].measured.performance.latency_ms
            if round_number >= 5:
                whole.append(elapsed)
                makespans.append(latency)
                overheads.append(elapsed - latency)
    show(
        f"ExecutePlan of one warm run of {MODEL}",
        [("RPC, whole", whole), ("measured makespan", makespans), ("overhead", overheads)],
    )
    return {"overhead_ms": statistics.median(overheads)}
