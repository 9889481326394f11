"""A lane's solo latency beside a hand-written page that calls onnxruntime-web directly.

Both live in the same browser, with the same runtime, file, inputs and thread count, and take turns. The hand-written
page does what its author would do: default options, and a run is over when all outputs are in the page's memory. The
lane runs both ways that the pool knows: outputs brought back as for Infer, and left behind as for a plan that is
measured, where on a GPU it waits until the device is done. Times are taken in the two workers, by the same clock.

Whatever else runs on the machine only ever adds time, so the least times are compared (Chen and Revels 2016, "Robust
benchmarking in noisy environments"); the medians stand beside them.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from corun.plumbing.settings import cache_folder
from corun.resource_pool.browser.engines import CHROMIUM, CHROMIUM_SHELL, Engine
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.models import Model, ModelCatalog
from corun.resource_pool.models.platform_files import PlatformFiles
from tests.bench.browsers import Bench, opened
from tests.bench.report import show

HAND_WRITTEN = """
async ({platform, model, inputs, sizes, threads}) => {
  const code = `
    let session, feeds;
    onmessage = async ({data}) => {
      if (data.model) {
        const waits = 'Suspending' in WebAssembly;
        const [script, kind] =
          data.platform === 'wasm' ? ['wasm', ''] : waits ? ['jspi', '.jspi'] : ['webgpu', '.asyncify'];
        const ort = await import(data.runtime + 'ort.' + script + '.bundle.min.mjs');
        const wasm = data.runtime + 'ort-wasm-simd-threaded' + kind + '.wasm';
        ort.env.wasm.wasmPaths = {wasm};
        ort.env.wasm.numThreads = data.threads;
        const file = new Uint8Array(await (await fetch(data.model)).arrayBuffer());
        const options = {executionProviders: [data.platform]};
        if (data.platform === 'webnn') {
          options.executionProviders = [{name: 'webnn', deviceType: 'cpu'}];
          options.freeDimensionOverrides = data.sizes;
        }
        session = await ort.InferenceSession.create(file, options);
        feeds = {};
        for (const [name, {type, shape, values}] of Object.entries(data.inputs))
          feeds[name] = new ort.Tensor(type,
            type === 'int64' ? BigInt64Array.from(values.map(BigInt)) : Float32Array.from(values), shape);
        postMessage('ready');
        return;
      }
      const begin = performance.now();
      const outputs = await session.run(feeds);
      for (const output of Object.values(outputs)) await output.getData();
      postMessage(performance.now() - begin);
    };
    onunhandledrejection = ({reason}) => { throw reason; };`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})), {type: 'module'});
  const next = () => new Promise((resolve, reject) => {
    worker.onmessage = ({data}) => resolve(data);
    worker.onerror = ({message}) => reject(new Error(message));
  });
  globalThis.handWritten?.end();
  globalThis.handWritten = {
    run: () => { const answer = next(); worker.postMessage({}); return answer; },
    end: () => worker.terminate(),
  };
  const ready = next();
  const runtime = new URL('assets/runtime/', location.href).href;
  worker.postMessage({platform, model, inputs, sizes, threads, runtime});
  await ready;
}
"""
WIDTH = 2
TARGET = 1.05
REST_SECONDS = 0.03
TIMEOUT_SECONDS = 120
SENTENCE = "A lane is one worker with a runtime of its own."


@dataclass(frozen=True, slots=True)
class Case:
    """A model on a platform. `batch_size` 0: one sentence or image instead of whole samples."""

    engine: Engine
    platform: str
    model_name: str
    batch_size: int
    rounds: int


# Software adapters are slow: short inputs and fewer rounds.
CASES = (
    Case(CHROMIUM, "wasm", "all-minilm-l6-v2", 1, 40),
    Case(CHROMIUM, "wasm", "paraphrase-minilm-l3-v2", 4, 40),
    Case(CHROMIUM, "wasm", "efficientnet-lite0", 1, 80),
    Case(CHROMIUM, "webgpu", "silero-vad", 1, 20),
    Case(CHROMIUM, "webgpu", "paraphrase-minilm-l3-v2", 0, 15),
    Case(CHROMIUM_SHELL, "webnn", "paraphrase-minilm-l3-v2", 1, 20),
    Case(CHROMIUM_SHELL, "webnn", "efficientnet-lite0", 1, 20),
)


def plain(inputs: Mapping[str, Array]) -> dict[str, object]:
    """Inputs as JSON, for the page that has no binary channel."""
    return {
        name: {"type": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}
        for name, array in inputs.items()
    }


def free_sizes(model: Model, inputs: Mapping[str, Array]) -> dict[str, int]:
    """What the free dimensions of the graph are for these inputs."""
    return {
        dimension: size
        for spec in model.inputs
        for dimension, size in zip(spec.shape, inputs[spec.name].shape, strict=True)
        if isinstance(dimension, str)
    }


@dataclass(frozen=True, slots=True)
class Pair:
    """A way of the lane's and the hand-written page's, one right after the other; times in milliseconds."""

    run: Callable[[], Awaitable[float]]
    lane: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)

    async def once(self, by_hand: Callable[[], Awaitable[float]], *, lane_first: bool, counted: bool) -> None:
        """Both once. Whoever runs second may find warmer caches, so they take turns at it."""
        lane = await _rested(self.run) if lane_first else 0.0
        page = await _rested(by_hand)
        lane = lane if lane_first else await _rested(self.run)
        if counted:
            self.lane.append(lane)
            self.by_hand.append(page)


async def _rested(run: Callable[[], Awaitable[float]]) -> float:
    """A run that begins when the threads of the other runtime spin no more and nobody handles its answer."""
    await asyncio.sleep(REST_SECONDS)
    return await run()


class Contest:
    """One model on both sides, loaded and warm."""

    def __init__(self, case: Case, bench: Bench) -> None:
        self._case = case
        self._bench = bench
        catalog = ModelCatalog(models_folder=None, cache_folder=cache_folder())
        self._model = catalog.resolve(case.model_name)
        short = not case.batch_size
        self._inputs = self._model.encode([SENTENCE]) if short else self._model.sample_inputs(case.batch_size)

    async def measure(self) -> dict[str, float]:
        """Ratios of the medians, lane to hand-written page."""
        case, model = self._case, self._model
        file = PlatformFiles(cache_folder() / "platform_files").file_for(model.files["model"], case.platform)
        url = self._bench.pages.publish_model(file.sha256, file.path)
        lane = await self._bench.connection.open_lane(platform=case.platform, width=WIDTH)
        dimensions = {spec.name: spec.shape for spec in model.inputs}
        await lane.load(model.name, url, dimensions, timeout=TIMEOUT_SECONDS)
        await lane.put("bench", self._inputs, timeout=TIMEOUT_SECONDS)
        page = await self._bench.page()
        sizes = free_sizes(model, self._inputs)
        order = {"platform": case.platform, "model": url, "inputs": plain(self._inputs), "sizes": sizes}
        await page.evaluate(HAND_WRITTEN, {**order, "threads": WIDTH})

        async def of_lane(*, fetch: bool) -> float:
            reply = await lane.run(model.name, "bench", fetch=fetch, timeout=TIMEOUT_SECONDS)
            return reply.run_time_ms

        async def by_hand() -> float:
            return float(await page.evaluate("() => handWritten.run()"))

        pairs = {"brought back": Pair(lambda: of_lane(fetch=True)), "left behind": Pair(lambda: of_lane(fetch=False))}
        warm = max(3, case.rounds // 3)
        for number in range(warm + case.rounds):
            for pair in pairs.values():
                await pair.once(by_hand, lane_first=number % 2 == 0, counted=number >= warm)
        await page.evaluate("() => handWritten.end()")
        await self._bench.connection.close_lane(lane.lane_id)
        return self._report(pairs)

    def _report(self, pairs: Mapping[str, Pair]) -> dict[str, float]:
        case = self._case
        ratios = {name: min(pair.lane) / min(pair.by_hand) for name, pair in pairs.items()}
        medians = [statistics.median(pair.lane) / statistics.median(pair.by_hand) for pair in pairs.values()]
        rows = [
            row
            for name, pair in pairs.items()
            for row in ((f"lane, outputs {name}", pair.lane), ("hand-written page beside it", pair.by_hand))
        ]
        show(
            f"{case.model_name}, {f'batch {case.batch_size}' if case.batch_size else 'one sentence'}, "
            f"{case.platform} in {case.engine.name}, {WIDTH} threads",
            rows,
            ratio=f"lane / hand-written: {ratios['brought back']:.3f} brought back, {ratios['left behind']:.3f} left "
            f"behind (least times; medians {medians[0]:.3f} and {medians[1]:.3f}; target: at most {TARGET})",
        )
        return ratios


async def bench() -> dict[str, float]:
    """Ratios of a lane's solo latency to that of the hand-written page, by platform and model."""
    figures: dict[str, float] = {}
    for engine in dict.fromkeys(case.engine.name for case in CASES):
        cases = [case for case in CASES if case.engine.name == engine]
        async with opened(cases[0].engine) as browser:
            for case in cases:
                ratios = await Contest(case, browser).measure()
                figures |= {f"{case.platform} {case.model_name} {name}": ratio for name, ratio in ratios.items()}
    return figures


if __name__ == "__main__":
    asyncio.run(bench())
