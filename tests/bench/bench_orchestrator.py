"""What a client waits for beyond the measured makespan: RPC time of ExecuteWithStrategy less its latency, with every
execution validated, beside an empty grpc.aio call in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.embedded import embedded_stack
from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from tests.bench.report import show

ROUNDS = 60
WARM_UP = 5
MODEL = "silero-vad"


async def bench() -> dict[str, float]:
    """Median overhead in milliseconds of a warm execution of one model."""
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name=MODEL, batch_size=1)]),
        platform=core_pb2.PLATFORM_WASM,
        strategy=core_pb2.STRATEGY_SEQUENTIAL,
        validation=orchestrator_pb2.ValidationPolicy(interval=1),
    )
    with TemporaryDirectory() as folder:
        place = Path(folder)
        async with (
            embedded_stack(max_connections=1, db_path=place / "corun.duckdb", state_folder=place) as address,
            open_channel(address) as channel,
        ):
            whole, overheads, empty = [], [], []
            parts: dict[str, list[float]] = {"before the plan": [], "pool, beyond the makespan": [], "afterwards": []}
            orchestrator = OrchestratorServiceStub(channel)
            probe = health_pb2_grpc.HealthStub(channel)
            for number in range(ROUNDS + WARM_UP):
                begin, begin_time = time.perf_counter(), time.time_ns()
                events = [event async for event in orchestrator.ExecuteWithStrategy(request)]
                elapsed = (time.perf_counter() - begin) * 1000
                result = events[-1].completed
                assert result.HasField("errors"), events[-1]
                begin = time.perf_counter()
                await probe.Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]  # set at run time
                nothing = (time.perf_counter() - begin) * 1000
                if number >= WARM_UP:
                    whole.append(elapsed)
                    overheads.append(elapsed - result.measured.performance.latency_ms)
                    empty.append(nothing)
                    for name, milliseconds in _parts(begin_time, events).items():
                        parts[name].append(milliseconds)
    overhead, call = statistics.median(overheads), statistics.median(empty)
    show(
        f"ExecuteWithStrategy of one warm run of {MODEL}, each validated",
        [("RPC, whole", whole), ("overhead", overheads), *parts.items(), ("empty grpc.aio call", empty)],
        ratio=f"the overhead is {overhead / call:.1f} empty calls",
    )
    return {"overhead_ms": overhead, "empty_call_ms": call}


def _parts(begin_time: int, events: Sequence[orchestrator_pb2.ExecuteWithStrategyResponse]) -> dict[str, float]:
    """Milliseconds until a browser was leased, in the pool beyond the makespan, and from there to the result."""
    times = {
        event.pool_event.WhichOneof("event") or event.WhichOneof("event"): event.event_time.ToNanoseconds()
        for event in events
    }
    makespan = events[-1].completed.measured.performance.latency_ms
    return {
        "before the plan": (times["leased"] - begin_time) / 1e6,
        "pool, beyond the makespan": (times["measured"] - times["leased"]) / 1e6 - makespan,
        "afterwards": (times["completed"] - times["measured"]) / 1e6,
    }
