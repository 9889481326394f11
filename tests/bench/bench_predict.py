"""How long Predict takes in process and over gRPC, beside an empty call to a bare grpc.aio server in the same run.

Every prediction covers the three strategies. The ratio is what to compare between machines: all calls pay for the
same Python, and those over gRPC for the same loop and sockets.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.predictor import converters
from corun.predictor.build import build
from corun.predictor.config import Settings
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import Lesson
from corun.predictor.core.prediction import predict
from corun.predictor.core.recommendation import recommend
from corun.predictor.core.workload import Goal
from corun.v1 import core_pb2, predictor_service_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub

if TYPE_CHECKING:
    from corun.v1.predictor_service_pb2_grpc import PredictorServiceAsyncStub
from rich.console import Console
from rich.table import Table

MODEL_COUNTS = (1, 3, 6, 16, 64)
IN_PROCESS_COUNT = 6
ROUNDS = 300
TIMEOUT_SECONDS = 10
ENVIRONMENT = predictor_service_pb2.ExecutionEnvironment(
    platform=core_pb2.PLATFORM_WASM, engine="chromium", core_count=2
)

Call = Callable[[], Awaitable[object]]
Figures = dict[str, dict[str, float]]


@asynccontextmanager
async def empty_server() -> AsyncIterator[Call]:
    """A server that answers nothing with nothing, as fast as grpc.aio can."""

    async def answer(request: bytes, context: object) -> bytes:
        return b""

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Call": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Empty", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/bench.Empty/Call")
        yield lambda: call(b"", timeout=TIMEOUT_SECONDS)
    await server.stop(0)


@asynccontextmanager
async def predict_calls(folder: Path) -> AsyncIterator[dict[str, Call]]:
    """Predict for workloads of several sizes; every model was observed in both widths and has features."""
    settings = Settings(port=0, state_folder=folder)
    server = Server(host=settings.host, port=settings.port, grace_seconds=0)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        stub = PredictorServiceStub(channel)
        await stub.Observe(observations(), timeout=TIMEOUT_SECONDS)
        over_grpc = {f"Predict, {count} models": predict_call(stub, count) for count in MODEL_COUNTS}
        yield {f"in process, {IN_PROCESS_COUNT} models": in_process_call(IN_PROCESS_COUNT), **over_grpc}


def in_process_call(model_count: int) -> Call:
    """The prediction and the choice without messages, by the same knowledge."""
    message, lessons = request(model_count), observations()
    environment = converters.environment_of(ENVIRONMENT)
    lesson = Lesson(
        environment.place, converters.observations_of(lessons.observations), converters.features_of(message.features)
    )
    knowledge, workload = Knowledge().learned([lesson]), converters.workload_of(message.workload)

    async def call() -> object:
        return recommend(predict(knowledge, workload, environment, batching_size=2), Goal.LATENCY)

    return call


def predict_call(stub: PredictorServiceAsyncStub, model_count: int) -> Call:
    """A call of Predict for so many models."""
    message = request(model_count)
    return lambda: stub.Predict(message, timeout=TIMEOUT_SECONDS)


def observations() -> predictor_service_pb2.ObserveRequest:
    """Five runs of 64 models in two widths."""
    return predictor_service_pb2.ObserveRequest(
        environment=ENVIRONMENT,
        observations=[
            predictor_service_pb2.Observation(
                model_name=f"model-{number}",
                batch_size=batch_size,
                lane_width=width,
                run_time_ms=(5 + number) * batch_size / width**0.8,
                memory_mb=80 + 3 * number,
            )
            for number in range(max(MODEL_COUNTS))
            for width in (1, 2)
            for batch_size in (1, 1, 1, 4, 4)
        ],
    )


def request(model_count: int) -> predictor_service_pb2.PredictRequest:
    """A workload of different models, with their features as the orchestrator sends them."""
    graph = core_pb2.GraphFeatures(flops_per_item=3e9, weight_bytes=90_000_000, operator_count=300, dynamic_batch=True)
    names = [f"model-{number}" for number in range(model_count)]
    return predictor_service_pb2.PredictRequest(
        workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name=name, batch_size=2) for name in names]),
        environment=ENVIRONMENT,
        features=[predictor_service_pb2.ModelFeatures(model_name=name, graph=graph) for name in names],
    )


async def timed(call: Call) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000


async def measure() -> Figures:
    """Milliseconds (p50, p99) of every kind of call and their ratios to the empty one, taken in turn."""
    with tempfile.TemporaryDirectory() as folder:
        async with empty_server() as empty, predict_calls(Path(folder)) as calls:
            kinds = {"empty call": empty, **calls}
            for call in kinds.values():
                await timed(call)
            times: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(ROUNDS):
                for name, call in kinds.items():
                    times[name].append(await timed(call))
    figures = {name: {"p50_ms": statistics.median(each), "p99_ms": percentile_99(each)} for name, each in times.items()}
    base = figures["empty call"]
    for each in figures.values():
        each["p50_ratio"], each["p99_ratio"] = each["p50_ms"] / base["p50_ms"], each["p99_ms"] / base["p99_ms"]
    return figures


def percentile_99(times: list[float]) -> float:
    """The time that 99 of 100 calls stay below."""
    return statistics.quantiles(times, n=100)[98]


async def bench() -> Figures:
    """Measures, prints the table and gives its figures."""
    figures = await measure()
    table = Table("call", "p50 ms", "p99 ms", "p50 / empty", "p99 / empty", title=f"{ROUNDS} calls of each, in turn")
    for name, each in figures.items():
        table.add_row(name, *(f"{each[key]:.2f}" for key in ("p50_ms", "p99_ms", "p50_ratio", "p99_ratio")))
    Console().print(table)
    return figures


def main() -> Figures:
    """The benchmark on an event loop of its own."""
    return asyncio.run(bench())


if __name__ == "__main__":
    main()
