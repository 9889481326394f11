"""How long a refinement takes against the number of its records: the time for each record should not grow."""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from rich.console import Console
from rich.table import Table

from corun.predictor.core.dataset import dataset_of
from corun.predictor.core.estimators import Method
from corun.predictor.core.execution import Execution
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import Lesson, Observation
from corun.predictor.core.prediction import predict
from corun.predictor.core.refinement import refine
from corun.predictor.core.workload import Environment, ModelConfig, Place, Platform, Workload

COUNTS = (100, 1_000, 10_000)
ROUNDS = 3
NAMES = ("a", "b", "c", "d", "e", "f")
PLACE = Place(Platform.WASM, "chromium")


def known() -> Knowledge:
    """Six models that were profiled in both widths."""
    observations = tuple(
        Observation(name, batch_size, width, (10 + 20 * number) * batch_size / width**0.8, 90.0 + 10 * number)
        for number, name in enumerate(NAMES)
        for width in (1, 2)
        for batch_size in (1, 1, 1, 4, 4)
    )
    return Knowledge().learned([Lesson(PLACE, observations)])


def records(knowledge: Knowledge, count: int, seed: int) -> list[tuple[Place, Execution]]:
    """Workloads of two to six models under random strategies, all a fifth slower than composed, with noise."""
    draw = random.Random(seed)
    environment = Environment(PLACE, 2)
    found = []
    for number in range(count):
        models = tuple(ModelConfig(draw.choice(NAMES), draw.randint(1, 8)) for _ in range(draw.randint(2, 6)))
        predicted = draw.choice(predict(knowledge, Workload(models), environment, batching_size=2).predictions)
        latency_ms = predicted.latency_ms.value * 1.2 * draw.lognormvariate(0, 0.05)
        found.append((PLACE, Execution(predicted.plan, 2, latency_ms, end_time=1.0 + number)))
    return found


def seconds_to_refine(knowledge: Knowledge, dataset: list[tuple[Place, Execution]], method: Method) -> float:
    """From records to a judgement; the refinement must be accepted, for every record is a fifth off."""
    begin = time.perf_counter()
    usable = dataset_of(knowledge, dataset)
    judgement = refine(
        usable.samples,
        method=method,
        platform=PLACE.platform,
        serving=knowledge.correction(PLACE.platform),
        composed_ms=usable.composed_ms,
    )
    seconds = time.perf_counter() - begin
    assert judgement.accepted, judgement.reason
    return seconds


async def bench() -> dict[str, float]:
    """Milliseconds a record, by method and number of records."""
    knowledge = known()
    figures: dict[str, float] = {}
    table = Table("method", *(f"{count:,} records" for count in COUNTS), title="refinement, ms in all (ms a record)")
    datasets = {count: records(knowledge, count, seed=count) for count in COUNTS}
    for method in Method:
        cells = []
        for count, dataset in datasets.items():
            seconds = statistics.median(seconds_to_refine(knowledge, dataset, method) for _ in range(ROUNDS))
            figures[f"{method} {count}"] = seconds * 1000 / count
            cells.append(f"{seconds * 1000:,.0f} ({seconds * 1000 / count:.3f})")
        table.add_row(str(method), *cells)
    Console(width=120).print(table)
    growth = max(figures[f"{method} {COUNTS[-1]}"] / figures[f"{method} {COUNTS[0]}"] for method in Method)
    Console(width=120).print(f"  time for each record, {COUNTS[-1]:,} / {COUNTS[0]:,} records: at most {growth:.2f}\n")
    return {**figures, "growth": growth}


if __name__ == "__main__":
    asyncio.run(bench())
