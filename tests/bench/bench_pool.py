"""What the pool adds: to the start of a browser, to a run, and what it saves when several lanes load one model."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from corun.plumbing.settings import cache_folder
from corun.resource_pool.browser.engines import CHROMIUM, CHROMIUM_SHELL, FIREFOX, Engine
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings
from corun.resource_pool.conversion import from_array
from corun.resource_pool.core.placement import ConnectionNeed
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.servicer import ResourcePoolServicer
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.bench.bench_predict import empty_server, timed
from tests.bench.browsers import Bench, opened, plain_page
from tests.bench.report import percentile, show
from tests.browser.running import serve_pool

ENGINES = (CHROMIUM_SHELL, CHROMIUM, FIREFOX)
START_ROUNDS, LEASE_ROUNDS, INFER_ROUNDS, LOAD_ROUNDS = 3, 500, 300, 5
LEASE_TARGET_MS = 5
LANE_COUNT = 4
TINY, LARGE = "silero-vad", "paraphrase-minilm-l3-v2"
TIMEOUT_SECONDS = 120


def resolved(name: str) -> Model:
    """A model of the catalogue."""
    return ModelCatalog(models_folder=None, cache_folder=cache_folder()).resolve(name)


async def take_lease(servicer: ResourcePoolServicer, engine: Engine) -> float:
    """Milliseconds until a browser is granted."""
    need = ConnectionNeed(engine.name, "wasm", ())
    begin = time.perf_counter()
    async with servicer.pool.lease((need,), purpose="a benchmark", exclusive=False):
        return (time.perf_counter() - begin) * 1000


async def bench_start(engine: Engine) -> float:
    """From nothing to a browser that is ready, beside Playwright alone; the ratio of the medians."""

    async def pooled() -> None:
        begin = time.perf_counter()
        async with build(Settings(max_connections=1)) as service:
            await take_lease(service.servicer, engine)
            times["pool, until a browser is granted"].append((time.perf_counter() - begin) * 1000)

    async def plain() -> None:
        begin = time.perf_counter()
        async with plain_page(engine):
            times["Playwright, launch and new page"].append((time.perf_counter() - begin) * 1000)

    times: dict[str, list[float]] = {"pool, until a browser is granted": [], "Playwright, launch and new page": []}
    for _ in range(START_ROUNDS):
        await pooled()
        await plain()
    pool, bare = map(statistics.median, times.values())
    show(f"a start of {engine.name}", list(times.items()), ratio=f"pool / Playwright: {pool / bare:.2f}")
    return pool / bare


async def bench_lease() -> float:
    """How long a lease takes when a browser is free: the median in milliseconds."""
    async with build(Settings(max_connections=1)) as service:
        await take_lease(service.servicer, CHROMIUM_SHELL)
        times = [await take_lease(service.servicer, CHROMIUM_SHELL) for _ in range(LEASE_ROUNDS)]
    median = statistics.median(times)
    words = f"p50 {median:.3f} ms, p99 {percentile(times, 99):.3f} ms (target: p50 below {LEASE_TARGET_MS} ms)"
    show("a lease of a browser that is free", [("lease", times)], ratio=words)
    return median


async def bench_infer() -> float:
    """What Infer takes beyond the run itself, beside an empty call; the ratio of the medians."""
    request = messages.InferRequest(model_name=TINY, platform=core_pb2.PLATFORM_WASM, engine=CHROMIUM_SHELL.name)
    request.tensors.extend(from_array(name, array) for name, array in resolved(TINY).sample_inputs(1).items())
    times: dict[str, list[float]] = {"Infer, whole": [], "run in the lane": [], "overhead": [], "empty call": []}
    async with serve_pool(Settings(max_connections=1)) as pool, empty_server() as empty:
        for number in range(INFER_ROUNDS // 10 + INFER_ROUNDS):
            begin = time.perf_counter()
            response = await pool.Infer(request)
            whole, run = (time.perf_counter() - begin) * 1000, response.run_time_ms
            figures = (whole, run, whole - run, await timed(empty))
            if number >= INFER_ROUNDS // 10:
                for each, figure in zip(times.values(), figures, strict=True):
                    each.append(figure)
    ratio = statistics.median(times["overhead"]) / statistics.median(times["empty call"])
    show(f"Infer of {TINY}, warm", list(times.items()), ratio=f"overhead / empty call: {ratio:.1f}")
    return ratio


async def loading(bench: Bench, model: Model, lane_count: int) -> float:
    """Milliseconds until so many new lanes of one browser, all at once, have the model."""
    lanes = [await bench.connection.open_lane(platform="wasm", width=1) for _ in range(lane_count)]
    file = model.files["model"]
    url = bench.pages.publish_model(file.sha256, file.path)
    dimensions = {spec.name: spec.shape for spec in model.inputs}
    begin = time.perf_counter()
    await asyncio.gather(*(lane.load(model.name, url, dimensions, timeout=TIMEOUT_SECONDS) for lane in lanes))
    elapsed = (time.perf_counter() - begin) * 1000
    for lane in lanes:
        await bench.connection.close_lane(lane.lane_id)
    return elapsed


async def bench_load() -> float:
    """One model into several lanes, beside as many times one lane; the ratio of the medians."""
    model = resolved(LARGE)
    counts = (LANE_COUNT, 1)
    times: dict[int, list[float]] = {count: [] for count in counts}
    fetched = 0
    async with opened(CHROMIUM) as bench:
        await loading(bench, model, 1)
        for _ in range(LOAD_ROUNDS):
            for count in counts:
                before = bench.pages.fetched_count
                times[count].append(await loading(bench, model, count))
                fetched = max(fetched, bench.pages.fetched_count - before)
    ratio = statistics.median(times[LANE_COUNT]) / statistics.median(times[1]) / LANE_COUNT
    show(
        f"{LARGE} into lanes of one browser",
        [(f"{LANE_COUNT} lanes at once", times[LANE_COUNT]), ("one lane", times[1])],
        ratio=f"{LANE_COUNT} lanes / {LANE_COUNT} times one: {ratio:.2f}; the file was fetched {fetched} time(s)",
    )
    return ratio


async def bench() -> dict[str, float]:
    """All of these figures by name."""
    figures = {f"start of {engine.name}": await bench_start(engine) for engine in ENGINES}
    parts: dict[str, Callable[[], Awaitable[float]]] = {
        "lease_p50_ms": bench_lease,
        "infer_overhead": bench_infer,
        "load": bench_load,
    }
    return figures | {name: await part() for name, part in parts.items()}
