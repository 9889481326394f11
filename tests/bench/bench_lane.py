"""A lane's solo latency beside a hand-written page that calls onnxruntime-web directly.

Both live in the same browser, with the same runtime, model, inputs and thread count, and take turns.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from playwright.async_api import Page, async_playwright

from corun.plumbing.settings import cache_folder
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.engines import CHROMIUM
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.models import Model, ModelCatalog
from tests.bench.report import show

HAND_WRITTEN = """
async ({model, inputs, threads}) => {
  const code = `
    let session, feeds;
    onmessage = async ({data}) => {
      if (data.model) {
        const ort = await import(data.runtime + 'ort.wasm.bundle.min.mjs');
        ort.env.wasm.wasmPaths = {wasm: data.runtime + 'ort-wasm-simd-threaded.wasm'};
        ort.env.wasm.numThreads = data.threads;
        const file = new Uint8Array(await (await fetch(data.model)).arrayBuffer());
        session = await ort.InferenceSession.create(file, {executionProviders: ['wasm']});
        feeds = {};
        for (const [name, {type, shape, values}] of Object.entries(data.inputs))
          feeds[name] = new ort.Tensor(type,
            type === 'int64' ? BigInt64Array.from(values.map(BigInt)) : Float32Array.from(values), shape);
        postMessage('ready');
        return;
      }
      const begin = performance.now();
      await session.run(feeds);
      postMessage(performance.now() - begin);
    };`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})), {type: 'module'});
  const next = () => new Promise((resolve, reject) => {
    worker.onmessage = ({data}) => resolve(data);
    worker.onerror = ({message}) => reject(new Error(message));
  });
  globalThis.handWritten = {run: () => { const answer = next(); worker.postMessage({}); return answer; }};
  const ready = next();
  worker.postMessage({model, inputs, threads, runtime: new URL('assets/runtime/', location.href).href});
  await ready;
}
"""
MODELS = (("all-minilm-l6-v2", 1), ("paraphrase-minilm-l3-v2", 4), ("efficientnet-lite0", 1))
ROUNDS = 40
WARM_RUNS = 20
WIDTH = 2


def plain(inputs: dict[str, Array]) -> dict[str, object]:
    """Inputs as JSON, for the page that has no binary channel."""
    return {
        name: {"type": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}
        for name, array in inputs.items()
    }


async def compare(model: Model, batch_size: int, connection: Connection, page: Page, pages: PageServer) -> float:
    """Measures one model both ways in turns; gives back the ratio of the medians."""
    url = pages.publish_model(model.sha256, Path(model.path))
    inputs = model.sample_inputs(batch_size)
    lane = await connection.open_lane(platform="wasm", width=WIDTH)
    await lane.load(model.name, url, timeout=60)
    await lane.put("bench", inputs, timeout=60)
    await page.goto(pages.page_url)
    await page.evaluate(HAND_WRITTEN, {"model": url, "inputs": plain(inputs), "threads": WIDTH})
    ours, theirs = [], []
    for count in range(WARM_RUNS + ROUNDS):
        reply = await lane.run(model.name, "bench", fetch=False, timeout=60)
        direct = float(await page.evaluate("() => handWritten.run()"))
        if count >= WARM_RUNS:
            ours.append(reply.run_time_ms)
            theirs.append(direct)
    await connection.close_lane(lane.lane_id)
    ratio = statistics.median(ours) / statistics.median(theirs)
    pairwise = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    show(
        f"{model.name}, batch {batch_size}, wasm, {WIDTH} threads",
        [("corun lane", ours), ("hand-written page", theirs)],
        ratio=f"lane / hand-written: {ratio:.3f} of medians, {pairwise:.3f} pair by pair (target: at most 1.05)",
    )
    return ratio


async def bench() -> dict[str, float]:
    """Ratio of a lane's solo latency to that of the hand-written page, by model."""
    catalog = ModelCatalog(models_folder=None, cache_folder=cache_folder())
    pages = PageServer()
    await pages.start()
    ratios = {}
    async with async_playwright() as playwright:
        connection = Connection(connection_id="bench", engine=CHROMIUM, pool_id="bench", pages=pages)
        executable = CHROMIUM.executable()
        assert executable is not None
        await connection.open(playwright.chromium, executable)
        try:
            page = await connection.browser.new_page()
            for name, batch_size in MODELS:
                ratios[name] = await compare(catalog.resolve(name), batch_size, connection, page, pages)
        finally:
            await connection.close()
            await pages.close()
    return ratios
