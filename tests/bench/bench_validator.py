"""How long the validator takes to sum up 1,000 and 1,000,000 validations, over gRPC, and what else it is asked.

Nothing is new when it is asked again, or one record is, as the rows say. The records are made in SQL, as many on each
platform and strategy, in a file of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import TypeAlias

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.build import build
from corun.validator.config import Settings
from corun.validator.recovery import open_database
from tests.bench.report import show
from tests.fakes.validations import execution

ROW_COUNTS = (1_000, 1_000_000)
ROUNDS = 100
TIMEOUT_SECONDS = 60

Call: TypeAlias = Callable[[], Awaitable[object]]

_FILL = """
CREATE TEMP TABLE made AS SELECT
    'e' || i AS execution_id,
    TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS moment,
    ['wasm', 'webgpu', 'webnn'][1 + i % 3] AS platform,
    ['parallel', 'sequential', 'batched'][1 + (i // 3) % 3] AS strategy,
    50 + 100 * random() AS actual,
    0.2 * (random() - 0.4) AS latency_off,
    0.2 * (random() - 0.4) AS throughput_off,
    0.2 * (random() - 0.4) AS memory_off
FROM range($count) AS rows(i);
INSERT INTO executions (
    execution_id, end_time, recorded_time, platform, strategy, strategy_chosen, optimization_goal, engine, adapter,
    model_count, model_configs, iterations, predictor_version,
    measured_latency_ms, measured_throughput_items_per_second, measured_memory_mb,
    queue_time_ms, load_time_ms, content_sha256
) SELECT
    execution_id, moment, moment, platform, strategy, true, 'latency', 'chromium', 'cpu',
    1, '[{"model_name": "bert", "model_type": "text_embedding", "batch_size": 4}]', 1, '1',
    actual, 1000 / actual, 300, 0, 0, 'x'
FROM made;
INSERT INTO multi_model_validation_metrics (
    execution_id, timestamp, model_count, model_configs, iterations, platform, strategy, optimization_goal,
    engine, adapter, predictor_version, predicted_latency, actual_latency, latency_error,
    predicted_throughput, actual_throughput, throughput_error, predicted_memory, actual_memory, memory_error
) SELECT
    execution_id, moment, 1, '[{"model_name": "bert", "model_type": "text_embedding", "batch_size": 4}]', 1,
    platform, strategy, 'latency', 'chromium', 'cpu', '1',
    actual * (1 + latency_off), actual, abs(latency_off),
    1000 / actual * (1 + throughput_off), 1000 / actual, abs(throughput_off),
    300 * (1 + memory_off), 300, abs(memory_off)
FROM made ORDER BY moment;
"""


def fill(path: Path, row_count: int) -> None:
    """Makes a database with so many validations."""
    opened = open_database(path)
    connection = opened.connection
    for statement in _FILL.split(";"):
        if statement.strip():
            connection.execute(statement, {"count": row_count} if "$count" in statement else None)
    connection.execute("CHECKPOINT")
    connection.close()
    opened.mark.close()


def made_records() -> Iterator[pb.ExecutionRecord]:
    """Executions on each platform and strategy in turn, every figure of which was predicted wrong by up to 12 %."""
    random = Random(0)
    places = itertools.cycle(itertools.product(("WASM", "WEBGPU", "WEBNN"), ("PARALLEL", "SEQUENTIAL", "BATCHED")))
    for number, (platform, strategy) in enumerate(places):
        made = execution(f"new{number}", platform=platform, strategy=strategy)
        made.predicted.latency_ms *= random.uniform(0.92, 1.12)
        made.predicted.throughput_items_per_second *= random.uniform(0.92, 1.12)
        made.predicted.memory_mb *= random.uniform(0.92, 1.12)
        yield made


async def timed(call: Call, rounds: int, *, before: Call | None = None) -> list[float]:
    """Milliseconds of each of `rounds` calls, after one that does not count; what is called before each is no part."""
    times = []
    for _ in range(rounds + 1):
        if before is not None:
            await before()
        start = time.perf_counter()
        await call()
        times.append((time.perf_counter() - start) * 1000)
    return times[1:]


async def measure(path: Path) -> Mapping[str, list[float]]:
    """Milliseconds of what a validator of this database is asked."""
    settings = Settings(port=0, db_path=path, history_size=100)
    server = Server(host=settings.host, port=settings.port, grace_seconds=0)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        stub, limit = ValidatorServiceStub(channel), TIMEOUT_SECONDS

        def metrics() -> Awaitable[object]:
            return stub.GetValidationMetrics(pb.GetValidationMetricsRequest(), timeout=limit)

        def recommendations() -> Awaitable[object]:
            return stub.GetRefinementRecommendations(pb.GetRefinementRecommendationsRequest(), timeout=limit)

        records = made_records()

        def record() -> Awaitable[object]:
            return stub.ValidatePrediction(pb.ValidatePredictionRequest(execution=next(records)), timeout=limit)

        ask: dict[str, Call] = {
            "metrics": metrics,
            "metrics without trends": lambda: stub.GetValidationMetrics(
                pb.GetValidationMetricsRequest(without_trends=True), timeout=limit
            ),
            "metrics of one platform": lambda: stub.GetValidationMetrics(
                pb.GetValidationMetricsRequest(platform=core_pb2.PLATFORM_WASM), timeout=limit
            ),
            "metrics with history": lambda: stub.GetValidationMetrics(
                pb.GetValidationMetricsRequest(with_history=True), timeout=limit
            ),
            "recommendations": recommendations,
        }
        return {name: await timed(call, ROUNDS) for name, call in ask.items()} | {
            "metrics, each after a new record": await timed(metrics, ROUNDS, before=record),
            "recommendations, each after a new record": await timed(recommendations, ROUNDS, before=record),
        }


async def bench() -> None:
    """Measures and prints the tables."""
    for row_count in ROW_COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "validator.duckdb"
            await asyncio.to_thread(fill, path, row_count)
            figures = await measure(path)
        show(f"{row_count:,} validations, history of 100 for each of 3 platforms", list(figures.items()))


def main() -> None:
    """The benchmark on an event loop of its own."""
    asyncio.run(bench())


if __name__ == "__main__":
    main()
