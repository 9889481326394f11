"""The closed loop: from an empty predictor, random automatic executions on wasm, each validated, with refinement and
adaptation on. How far errors of latency fall towards the noise of the machine, and what a competing load does to them.

`make bench` runs a short form; `make loop` the long one: 60 executions, 60 with a load that comes and goes in the
middle third, and what adapted bounds of the choice are worth after comparisons of 12 random workloads.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
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
from tests.load import BUSY, program

MODELS = ("paraphrase-minilm-l3-v2", "silero-vad", "pp-ocr-cls", "efficientnet-lite0")
# Quick ones, for comparisons: each runs its workload nine times.
SMALL_MODELS = ("silero-vad", "pp-ocr-cls")
PLOT = Path("bench_loop.png")
SHORT, LONG = 12, 60
# Of the middle third, that a competing load runs beside: what its end costs belongs to the middle as well.
LOADED_PART = 0.75
COMPARISONS = 12
DEFAULTS = Configuration(batching_size=2)
# Of the last third every second workload is run so often in all: a median of few is too near to each of them.
NOISE_EVERY, NOISE_RUNS = 2, 9
# What a sum of noise may add to the error of a predictor that knows everything.
ABOVE_NOISE = 1.3


@dataclass(frozen=True, slots=True)
class Executed:
    """What was executed, and how long that took, milliseconds."""

    models: Sequence[dict[str, object]]
    strategy: str
    latency_ms: float


@dataclass(slots=True)
class Loop:
    """What one loop executed, in order; errors of latency, and the predictor's version of each."""

    executions: list[Executed] = field(default_factory=list)
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
        return statistics.fmean(self.errors[self._third(number)])

    @property
    def repeatable(self) -> list[Executed]:
        """Of the last third, what is run again for its noise."""
        return self.executions[self._third(2)][::NOISE_EVERY]

    def _third(self, number: int) -> slice:
        size = len(self.executions) // 3
        return slice(number * size, (number + 1) * size)


def workload(draw_from: random.Random, names: Sequence[str] = MODELS, most: int = 5) -> list[dict[str, object]]:
    """Two to so many models, one to four items each."""
    return [
        {"model_name": draw_from.choice(names), "batch_size": draw_from.randint(1, 4)}
        for _ in range(draw_from.randint(2, most))
    ]


async def executed(client: AsyncClient, models: Sequence[dict[str, object]], into: Loop) -> None:
    """One automatic execution, and how far its prediction was off."""
    report = await client.execute(models=models, platform="wasm")
    assert report["validated"], report["warnings"]
    into.executions.append(Executed(models, report["execution_strategy"], report["actual_latency"]))
    into.errors.append(report["error_rates"]["latency"])
    into.versions.append(report["predictor_version"])


async def looped(client: AsyncClient, draw_from: random.Random, count: int, *, with_load: bool) -> Loop:
    """So many executions; where wanted a competing load comes after the first third, and is gone again before the last
    one begins."""
    third = count // 3
    beside_load = round(third * LOADED_PART)
    loop = Loop(loaded=(third + 1, third + beside_load + 1) if with_load else None)
    for size, loaded in ((third, False), (beside_load, with_load), (count - third - beside_load, False)):
        with program(BUSY) if loaded else nullcontext():
            for _ in range(size):
                await executed(client, workload(draw_from), loop)
        beside = " beside a competing load" if loaded else ""
        recent = statistics.fmean(loop.errors[-size:])
        Console(width=120).print(f"  {len(loop.errors)} executions, the last {size}{beside}: mean error {recent:.1%}")
    return loop


async def noise_floor(client: AsyncClient, executions: Sequence[Executed]) -> float:
    """Mean error that medians of repeats would have as predictions of single runs: no prediction is better for long.

    They are repeated as they were in the loop, each with all others between.
    """
    latencies = [[each.latency_ms] for each in executions]
    for _ in range(NOISE_RUNS - 1):
        for each, own in zip(executions, latencies, strict=True):
            again = await client.execute(models=each.models, platform="wasm", strategy=each.strategy)
            own.append(again["actual_latency"])
    return statistics.fmean(abs(each - statistics.median(own)) / each for own in latencies for each in own)


def _refinement(version: str) -> str:
    return version.partition("-r")[2]


async def compared(client: AsyncClient, draw_from: random.Random, count: int) -> None:
    """So many comparisons of random workloads, two rounds each: what adaptation learns from."""
    for _ in range(count):
        await client.compare(models=workload(draw_from, SMALL_MODELS, most=8), platform="wasm", rounds=2)


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


@asynccontextmanager
async def fresh_services() -> AsyncIterator[tuple[str, AsyncClient]]:
    """Services that know nothing, their address, and a client of theirs."""
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
            yield address, client


async def loop(count: int, *, with_load: bool) -> tuple[Loop, float]:
    """One loop from an empty predictor, and the noise floor after it; tells what is on record."""
    draw_from = random.Random(11)
    async with fresh_services() as (_, client):
        measured = await looped(client, draw_from, count, with_load=with_load)
        noise = await noise_floor(client, measured.repeatable)
        await _tell_record(client)
    return measured, noise


async def adaptation(comparisons: int) -> None:
    """Tells what adapted bounds are worth after so many comparisons."""
    async with fresh_services() as (address, client):
        await compared(client, random.Random(12), comparisons)
        tell_adaptation(await on_record(address))


async def bench(count: int = SHORT, plot: Path = PLOT, loads: Sequence[bool] = (False, True)) -> dict[str, float]:
    """Mean errors of the thirds of the loops, and the noise floor."""
    figures: dict[str, float] = {}
    curves = []
    for with_load in loads:
        title = "with a competing load that came and went in the middle third" if with_load else "quiet"
        measured, noise = await loop(count, with_load=with_load)
        _tell_errors(title, measured, noise)
        curves.append(Curve(title, measured.errors, noise, measured.loaded, measured.refined))
        name = "loaded" if with_load else "quiet"
        figures |= {
            f"{name}_{third}": measured.third(number) for number, third in enumerate(("first", "middle", "last"))
        }
        figures[f"{name}_noise"] = noise
    draw(curves, path=plot)
    Console(width=120).print(f"  picture in {plot}\n")
    return figures


def _tell_errors(title: str, measured: Loop, noise: float) -> None:
    table = Table("loop", title=f"mean error of latency (noise floor {noise:.1%})", title_justify="left")
    for heading in ("executions", "first third", "middle", "last third", "last / first", "last / noise", "verdict"):
        table.add_column(heading, justify="right")
    first, middle, last = (measured.third(number) for number in range(3))
    table.add_row(
        title,
        str(len(measured.errors)),
        *(f"{each:.1%}" for each in (first, middle, last)),
        f"{last / first:.2f}",
        f"{last / noise:.2f}",
        "settled" if is_settled(first, last, noise) else "not settled",
    )
    Console(width=140).print(table)


def is_settled(first: float, last: float, noise: float) -> bool:
    """Whether errors have halved, or are about as small as the noise lets them be."""
    return last <= first / 2 or last <= ABOVE_NOISE * noise


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
    """The long form, or a part of it."""
    parser = argparse.ArgumentParser(description="Measures the closed loop.")
    parser.add_argument("--executions", type=int, default=LONG, help=f"of each loop, at least 12; {LONG} by default")
    parser.add_argument("--comparisons", type=int, default=COMPARISONS, help=f"{COMPARISONS} by default")
    parser.add_argument("--plot", type=Path, default=PLOT, help=f"picture to write; {PLOT} by default")
    parser.add_argument("--only", choices=("quiet", "loaded", "adaptation"), help="one part; all by default")
    given = parser.parse_args()
    configure_logs(verbose=False)
    loads = [name == "loaded" for name in ("quiet", "loaded") if given.only in {None, name}]
    figures = asyncio.run(bench(max(12, given.executions), given.plot, loads)) if loads else {}
    if given.only in {None, "adaptation"}:
        asyncio.run(adaptation(given.comparisons))
    if "quiet_last" not in figures:
        return 0
    return 0 if is_settled(figures["quiet_first"], figures["quiet_last"], figures["quiet_noise"]) else 1


if __name__ == "__main__":
    sys.exit(main())
