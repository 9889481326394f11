"""Six megabytes of tensor to the browser and back: the binary channel beside `page.evaluate` with base64."""

from __future__ import annotations

import base64
import statistics
import time

import numpy as np
from playwright.async_api import async_playwright

from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.engines import CHROMIUM
from corun.resource_pool.browser.page_server import PageServer
from tests.bench.report import show

BYTES = 6_000_000
ROUNDS = 12
THROUGH_EVALUATE = """
text => {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const tensor = new Float32Array(bytes.buffer);
  const out = new Uint8Array(tensor.buffer);
  let back = '';
  for (let i = 0; i < out.length; i += 32768) back += String.fromCharCode(...out.subarray(i, i + 32768));
  return btoa(back);
}
"""


async def bench() -> dict[str, float]:
    """How many times faster the binary channel is."""
    tensor = np.random.default_rng(0).random(BYTES // 4, dtype=np.float32)
    pages = PageServer()
    await pages.start()
    ours, theirs = [], []
    async with async_playwright() as playwright:
        connection = Connection(connection_id="bench", engine=CHROMIUM, pool_id="bench", pages=pages)
        executable = CHROMIUM.executable()
        assert executable is not None
        await connection.open(playwright.chromium, executable)
        try:
            lane = await connection.open_lane(platform="wasm", width=1)
            page = await connection.browser.new_page()
            await page.goto(pages.page_url)
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                echoed = (await lane.echo({"x": tensor}, timeout=60))["x"]
                ours.append((time.perf_counter() - begin) * 1000)
                begin = time.perf_counter()
                text = await page.evaluate(THROUGH_EVALUATE, base64.b64encode(tensor.tobytes()).decode())
                direct = np.frombuffer(base64.b64decode(text), np.float32)
                theirs.append((time.perf_counter() - begin) * 1000)
                assert np.array_equal(echoed, tensor)
                assert np.array_equal(direct, tensor)
        finally:
            await connection.close()
            await pages.close()
    ratio = statistics.median(theirs) / statistics.median(ours)
    show(
        f"{BYTES / 1e6:g} MB tensor, round trip",
        [("binary channel", ours), ("page.evaluate with base64", theirs)],
        ratio=f"evaluate / channel: {ratio:.1f} times (target: at least 5)",
    )
    return {"speed_up": ratio}
