"""`make soak`: thousands of runs over two browsers that are recycled again and again. Nothing may fail or grow.

The pool is a process of its own, so its figures are its own. A generation ends when both browsers have been replaced;
then, with nothing under way and the model loaded in both, everything that could leak is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from corun.plumbing.channel import open_channel
from corun.resource_pool.browser import processes
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from tests.browser.running import pool_process

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

MODEL = "paraphrase-minilm-l3-v2"
CONNECTIONS, CLIENTS = 2, 4
RUNS_OF_A_BROWSER = 80
TIMEOUT_SECONDS = 120
SETTLE_SECONDS = 3
# The heaps of a process that has just started have yet to find their size.
WARM_GENERATIONS = 2
# Below this there are too few samples to tell a slope.
LEAST_RUNS = 10 * CONNECTIONS * RUNS_OF_A_BROWSER // 2
# Megabytes per 1,000 runs. Two fresh browsers differ by some from the two before them.
SERVICE_GROWTH, BROWSER_GROWTH = 2.0, 10.0

Ready = Callable[[messages.GetPoolStatusResponse], bool]


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is when nothing is under way. Sizes are proportional set sizes in megabytes."""

    run_count: int
    service_mb: float
    service_files: int
    driver_mb: float
    driver_files: int
    other_processes: int
    browser_mb: float
    browser_processes: int


@dataclass(slots=True)
class Soak:
    """Runs a model over and over.

    Attributes:
        service: The pool's process.
        pool: Its contract, for looking at it.
        clients: The same for each client, with a channel of its own.
        engine: The browser.
        run_count: Runs so far.
        failures: What went wrong.
    """

    service: psutil.Process
    pool: ResourcePoolServiceAsyncStub
    clients: list[ResourcePoolServiceAsyncStub]
    engine: str
    run_count: int = 0
    failures: list[str] = field(default_factory=list)

    async def run(self, run_count: int) -> list[Sample]:
        """So many runs or a few more, until the browsers have been replaced once more; a sample a generation."""
        await self._fill()
        samples: list[Sample] = []
        while self.run_count < run_count:
            await self._generation()
            samples.append(await self._sample())
            print(f"{self.run_count} runs, {len(self.failures)} failures", flush=True)
        return samples

    async def _generation(self) -> None:
        status = await self.pool.GetPoolStatus(messages.GetPoolStatusRequest())
        old = {connection.connection_id for connection in status.connections}
        replaced = asyncio.create_task(
            self._until(lambda now: not old & {connection.connection_id for connection in now.connections})
        )
        await asyncio.gather(replaced, *(self._keep_running(client, replaced) for client in self.clients))

    async def _keep_running(self, client: ResourcePoolServiceAsyncStub, replaced: asyncio.Task[None]) -> None:
        while not replaced.done():
            await self._infer(client)

    async def _infer(self, client: ResourcePoolServiceAsyncStub) -> None:
        self.run_count += 1
        request = messages.InferRequest(model_name=MODEL, platform=core_pb2.PLATFORM_WASM, engine=self.engine)
        request.items.add(text=f"Run {self.run_count} is like all the others.")
        try:
            response = await client.Infer(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.failures.append(f"run {self.run_count}: {error.code().name}: {error.details()}")
        else:
            if not response.outputs or response.engine != self.engine:
                self.failures.append(f"run {self.run_count}: no outputs, or of {response.engine}")

    async def _fill(self) -> None:
        """Sees to it that there are all browsers, each with the model."""

        def filled(status: messages.GetPoolStatusResponse) -> bool:
            holding = [any(MODEL in lane.model_names for lane in each.lanes) for each in status.connections]
            return holding == [True] * CONNECTIONS

        while not filled(await self.pool.GetPoolStatus(messages.GetPoolStatusRequest())):
            await asyncio.gather(*map(self._infer, self.clients))

    async def _until(self, ready: Ready) -> None:
        watch = self.pool.WatchPool(messages.WatchPoolRequest(), timeout=TIMEOUT_SECONDS)
        async for change in watch:
            if ready(change.status):
                break
        watch.cancel()

    async def _sample(self) -> Sample:
        await self._until(_at_rest)
        await self._fill()
        await self._until(_at_rest)
        await asyncio.sleep(SETTLE_SECONDS)  # what was closed goes in its own time
        status = await self.pool.GetPoolStatus(messages.GetPoolStatusRequest())
        browsers = {
            process
            for connection in status.connections
            for process in processes.family(psutil.Process(connection.process_id))
        }
        others = [process for process in self.service.children(recursive=True) if process not in browsers]
        driver = max(others, key=lambda process: process.memory_info().rss)
        return Sample(
            run_count=self.run_count,
            service_mb=self.service.memory_full_info().pss / 1e6,
            service_files=self.service.num_fds(),
            driver_mb=driver.memory_full_info().pss / 1e6,
            driver_files=driver.num_fds(),
            other_processes=len(others),
            browser_mb=sum(connection.memory_mb for connection in status.connections),
            browser_processes=len(browsers),
        )


def _at_rest(status: messages.GetPoolStatusResponse) -> bool:
    states = [connection.state for connection in status.connections]
    return not status.leases and states == ["ready"] * CONNECTIONS


def growth(samples: Sequence[Sample], size: Callable[[Sample], float]) -> float:
    """Megabytes per 1,000 runs: the median of the slopes between all pairs of samples (Theil and Sen)."""
    slopes = [
        (size(later) - size(sooner)) / (later.run_count - sooner.run_count)
        for sooner, later in itertools.combinations(samples, 2)
    ]
    return statistics.median(slopes) * 1000


def verdicts(samples: Sequence[Sample], failures: Sequence[str]) -> list[tuple[str, str, str, bool]]:
    """What was found, the bound, and whether it holds."""
    found: list[tuple[str, str, str, bool]] = [("failed runs", str(len(failures)), "0", not failures)]
    counts: dict[str, Callable[[Sample], int]] = {
        "file descriptors of the service": lambda sample: sample.service_files,
        "file descriptors of the driver": lambda sample: sample.driver_files,
        "processes of the browsers": lambda sample: sample.browser_processes,
        "other processes of the service": lambda sample: sample.other_processes,
    }
    for name, count in counts.items():
        seen = sorted({count(sample) for sample in samples})
        found.append((name, ", ".join(map(str, seen)), "constant", len(seen) == 1))
    sizes: dict[str, tuple[Callable[[Sample], float], float]] = {
        "service": (lambda sample: sample.service_mb, SERVICE_GROWTH),
        "driver": (lambda sample: sample.driver_mb, SERVICE_GROWTH),
        "browsers": (lambda sample: sample.browser_mb, BROWSER_GROWTH),
    }
    for name, (size, bound) in sizes.items():
        slope = growth(samples, size)
        middle = statistics.median(map(size, samples))
        words = f"{slope:+.2f} (median size {middle:.0f} MB)"
        found.append((f"growth of the {name}, MB per 1,000 runs", words, f"at most {bound:g}", slope <= bound))
    return found


def show(samples: Sequence[Sample], found: Sequence[tuple[str, str, str, bool]], title: str) -> None:
    """Prints the samples, and what follows from them."""
    console = Console(width=120)
    headings = ("runs", "service MB", "files", "driver MB", "files", "others", "browsers MB", "processes")
    table = Table(*headings, title=title, title_justify="left")
    for each in samples:
        sizes = (each.service_mb, each.service_files, each.driver_mb, each.driver_files, each.other_processes)
        figures = (*sizes, each.browser_mb, each.browser_processes)
        cells = [f"{figure:.1f}" if isinstance(figure, float) else str(figure) for figure in figures]
        table.add_row(str(each.run_count), *cells)
    console.print(table)
    bounds = Table("what", "found", "bound", "", title=f"without the first {WARM_GENERATIONS}", title_justify="left")
    for name, figure, bound, holds in found:
        bounds.add_row(name, figure, bound, "holds" if holds else "FAILS")
    console.print(bounds)


async def soak(run_count: int, engine: str) -> bool:
    """Runs, prints, and says whether all bounds hold."""
    begin = time.monotonic()
    settings = {"max_connections": CONNECTIONS, "core_count": 1, "recycle_after_runs": RUNS_OF_A_BROWSER}
    async with pool_process(settings) as (child, address), AsyncExitStack() as stack:
        stubs = [
            ResourcePoolServiceStub(await stack.enter_async_context(open_channel(address))) for _ in range(CLIENTS + 1)
        ]
        running = Soak(psutil.Process(child.pid), stubs[0], stubs[1:], engine)
        samples = await running.run(run_count)
        status = await running.pool.GetPoolStatus(messages.GetPoolStatusRequest())
    for failure in running.failures:
        print(failure)
    found = verdicts(samples[WARM_GENERATIONS:], running.failures)
    found.append(("lost browsers", str(status.lost_count), "0", status.lost_count == 0))
    minutes = (time.monotonic() - begin) / 60
    title = (
        f"{running.run_count} runs of {MODEL} in {engine}, {status.recycled_count} recyclings, {minutes:.1f} minutes"
    )
    show(samples, found, title)
    return all(holds for *_, holds in found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Runs a model thousands of times and looks for what grows.")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--engine", default="chromium-shell")
    arguments = parser.parse_args()
    if arguments.runs < LEAST_RUNS:
        parser.error(f"--runs: {arguments.runs} are too few; at least {LEAST_RUNS}")
    sys.exit(0 if asyncio.run(soak(arguments.runs, arguments.engine)) else 1)
