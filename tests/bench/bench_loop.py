"""The closed loop: from an empty predictor, random automatic executions on wasm, each validated, with refinement and
adaptation on. Errors of latency fall towards the noise of the machine, and come back there after a competing load.

`make bench` runs a short form; `make loop` the long one (60 executions, then 60 with a load in the middle third).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from corun.deployment import peers_at
from corun.embedded import embedded_stack
from corun.orchestrator.converters import measured_of
from corun.orchestrator.core.adaptation import Contest, adapted, contests, regret
from corun.orchestrator.core.configuration import Configuration
from corun.plumbing.logs import configure_logs
from corun.v1 import core_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client.async_client import AsyncClient, connect_async
from tests.bench.loop_curve import Curve, draw

MODELS = ("paraphrase-minilm-l3-v2", "silero-vad", "pp-ocr-cls", "efficientnet-lite0")
PLOT = Path("bench_loop.png")
SHORT, LONG = 24, 60
SHORT_COMPARISONS, LONG_COMPARISONS = 0, 12
DEFAULTS = Configuration(batching_size=2)
NOISE_WORKLOADS, NOISE_RUNS = 3, 8
# What a sum of noise may add to the error of a predictor that knows everything.
ABOVE_NOISE = 1.3

_LOAD = "while True: pass"


@dataclass(slots=True)
class Loop:
    """What one loop measured: errors of latency in order, and the predictor's version of each."""

    errors: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    loaded: tuple[int, int] | None = None

    @property
    def refined(self) -> list[int]:
        """Executions after which another refined version served."""
        numbers = [_refinement(version) for version in self.versions]
        return [index for index in range(1, len(numbers)) if numbers[index] != numbers[index - 1]]

    def third(self, number: int) -> float:
        """Mean error of the first, second or last third (0, 1 or 2)."""
        size = len(self.errors) // 3
        return statistics.fmean(self.errors[number * size : (number + 1) * size])


def workload(draw_from: random.Random) -> list[dict[str, object]]:
    """Two to five models, one to four items each."""
    return [
        {"model_name": draw_from.choice(MODELS), "batch_size": draw_from.randint(1, 4)}
        for _ in range(draw_from.randint(2, 5))
    ]


@asynccontextmanager
async def competing(*, wanted: bool) -> AsyncIterator[None]:
    """A process that keeps one core busy, while the context is open."""
    if not wanted:
        yield
        return
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _LOAD)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def executed(client: AsyncClient, models: Sequence[dict[str, object]], into: Loop) -> None:
    """One automatic execution, and how far its prediction was off."""
    report = await client.execute(models=models, platform="wasm")
    assert report["validated"], report["warnings"]
    into.errors.append(report["error_rates"]["latency"])
    into.versions.append(report["predictor_version"])


async def looped(client: AsyncClient, draw_from: random.Random, count: int, *, with_load: bool) -> Loop:
    """So many executions, with a competing load beside the middle third where wanted."""
    loop = Loop(loaded=(count // 3 + 1, 2 * (count // 3) + 1) if with_load else None)
    for size, loaded in ((count // 3, False), (count // 3, with_load), (count - 2 * (count // 3), False)):
        async with competing(wanted=loaded):
            for _ in range(size):
                await executed(client, workload(draw_from), loop)
    return loop


async def noise_floor(client: AsyncClient, draw_from: random.Random) -> float:
    """Mean deviation of repeated runs of a workload from their median: no prediction is better for long."""
    deviations = []
    for _ in range(NOISE_WORKLOADS):
        models = workload(draw_from)
        reports = [await client.execute(models=models, platform="wasm", strategy="parallel") for _ in range(NOISE_RUNS)]
        latencies = [report["actual_latency"] for report in reports]
        middle = statistics.median(latencies)
        deviations += [abs(each - middle) / each for each in latencies]
    return statistics.fmean(deviations)


def _refinement(version: str) -> str:
    return version.partition("-r")[2]


async def compared(client: AsyncClient, draw_from: random.Random, count: int) -> None:
    """So many comparisons of random workloads, three rounds each: what adaptation learns from."""
    for _ in range(count):
        await client.compare(models=workload(draw_from), platform="wasm", rounds=3)


async def on_record(address: str) -> list[Contest]:
    """Workloads that are on record under several strategies."""
    request = validator_pb2.GenerateValidationDatasetRequest(platform=core_pb2.PLATFORM_WASM, with_unvalidated=True)
    async with peers_at(address) as peers:
        return contests([measured_of(execution) async for execution in peers.dataset(request)])


def tell_adaptation(found: Sequence[Contest]) -> None:
    """Regret of the defaults and of values adapted to every other workload, on the workloads left out."""
    console = Console(width=120)
    learnt, held_out = found[::2], found[1::2]
    current = DEFAULTS
    for _ in range(20):
        current = adapted(learnt, current=current, defaults=DEFAULTS).suggested
    table = Table("configuration", title=f"mean regret on {len(held_out)} workloads held out", title_justify="left")
    for heading in ("parallel up to", "sequential above", "group", "memory MB", "regret"):
        table.add_column(heading, justify="right")
    for name, one in (("default", DEFAULTS), (f"adapted to {len(learnt)} others", current)):
        regrets = [regret(each, one, memory_limit_mb=None) for each in held_out]
        known = [each for each in regrets if each is not None]
        bounds = (one.parallel_threshold, one.sequential_threshold, one.batching_size, one.memory_threshold_mb)
        table.add_row(name, *(str(each) for each in bounds), f"{statistics.fmean(known):.1%}" if known else "-")
    console.print(table)


async def bench(count: int = SHORT, plot: Path = PLOT, comparisons: int = SHORT_COMPARISONS) -> dict[str, float]:
    """Mean errors of the thirds of both loops, and the noise floor."""
    draw_from = random.Random(11)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        async with (
            embedded_stack(
                max_connections=1,
                db_path=place / "corun.duckdb",
                state_folder=place,
                validation_interval=1,
                exploration_rate=0.1,
            ) as address,
            connect_async(address) as client,
        ):
            quiet = await looped(client, draw_from, count, with_load=False)
            disturbed = await looped(client, draw_from, count, with_load=True)
            noise = await noise_floor(client, draw_from)
            await compared(client, draw_from, comparisons)
            await _tell_record(client)
            if comparisons:
                tell_adaptation(await on_record(address))
    loops = {"quiet, from an empty predictor": quiet, "then with a competing load in the middle third": disturbed}
    draw(
        [Curve(title, loop.errors, loop.loaded, loop.refined) for title, loop in loops.items()],
        noise_floor=noise,
        path=plot,
    )
    _tell_errors(loops, noise)
    Console(width=120).print(f"  picture in {plot}\n")
    return {
        "first_third": quiet.third(0),
        "last_third": quiet.third(2),
        "loaded_third": disturbed.third(1),
        "after_load": disturbed.third(2),
        "noise_floor": noise,
    }


def _tell_errors(loops: dict[str, Loop], noise: float) -> None:
    table = Table("loop", title=f"mean error of latency (noise floor {noise:.1%})", title_justify="left")
    for heading in ("executions", "first third", "middle", "last third", "last / first", "last / noise", "verdict"):
        table.add_column(heading, justify="right")
    for title, loop in loops.items():
        first, middle, last = (loop.third(number) for number in range(3))
        settled = last <= first / 2 or last <= ABOVE_NOISE * noise
        table.add_row(
            title,
            str(len(loop.errors)),
            *(f"{each:.1%}" for each in (first, middle, last)),
            f"{last / first:.2f}",
            f"{last / noise:.2f}",
            "settled" if settled else "not settled",
        )
    Console(width=140).print(table)


async def _tell_record(client: AsyncClient) -> None:
    """What the database says of it."""
    console = Console(width=140)
    for title, sql in (
        (
            "executions on record, by predictor version",
            "SELECT coalesce(nullif(regexp_extract(predictor_version, '-r([0-9]+)', 1), ''), '0') AS refined, "
            "count(*) AS validations, round(avg(latency_error), 3) AS latency_error, "
            "round(avg(memory_error), 3) AS memory_error, sum(explored::INT)::INT AS explored "
            "FROM multi_model_validation_metrics GROUP BY refined ORDER BY min(validation_number)",
        ),
        (
            "refinements on record",
            "SELECT after_validation_number AS after, method, accepted, round(latency_error_before, 3) AS before, "
            "round(latency_error_after, 3) AS refined, predictor_version_after AS version, reason "
            "FROM model_refinements ORDER BY after_validation_number",
        ),
    ):
        answer = await client.query(sql)
        table = Table(*answer.column_names, title=title, title_justify="left")
        for row in answer.to_pylist():
            table.add_row(*(str(value) for value in row.values()))
        console.print(table)
    adaptive = await client.adaptive_configuration("wasm")
    console.print(f"  bounds of the choice: {adaptive['reason']}")


def main() -> int:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=LONG, help=f"of each loop, at least 12; {LONG} by default")
    parser.add_argument("--plot", type=Path, default=PLOT, help=f"picture to write; {PLOT} by default")
    parser.add_argument("--comparisons", type=int, default=LONG_COMPARISONS, help=f"{LONG_COMPARISONS} by default")
    given = parser.parse_args()
    configure_logs(verbose=False)
    figures = asyncio.run(bench(max(12, given.executions), given.plot, given.comparisons))
    settled = figures["last_third"] <= max(figures["first_third"] / 2, ABOVE_NOISE * figures["noise_floor"])
    return 0 if settled else 1


if __name__ == "__main__":
    sys.exit(main())
