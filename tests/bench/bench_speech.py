"""What it is worth that an encoder's output stays in the lane, and on a GPU in its memory, for the decoder.

Three ways for the same recording: the output stays on the device; it is read back into the lane and uploaded again
(on wasm both are the same memory); it goes to the pool and comes back, as it would if the parts were two models.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from corun.plumbing.settings import cache_folder
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.engines import CHROMIUM
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.models import Model, ModelCatalog
from tests.bench.browsers import opened
from tests.bench.report import show

WIDTH = 2
RATE = 16_000
# A run on a software adapter takes seconds: less to hear, less to say, fewer rounds.
SECONDS = {"wasm": 2, "webgpu": 1}
TOKENS = {"wasm": 20, "webgpu": 3}
ROUNDS = {"wasm": (10, 30), "webgpu": (1, 4)}
TIMEOUT = 300.0


def recording(model: Model, platform: str) -> dict[str, Array]:
    """The beginning of the sample, with a token for every step that is worth waiting for."""
    tokens = np.array([TOKENS[platform]], np.int64)
    sample = model.sample_inputs(1)
    cut = {name: sample[name][:, : SECONDS[platform] * RATE] for name in ("input_values", "attention_mask")}
    return {**cut, "min_tokens": tokens, "max_tokens": tokens}


async def round_trip_ms(encoder: Lane, inputs: dict[str, Array]) -> float:
    """The encoder's output to the pool and back into the lane, without the run itself."""
    begin = time.perf_counter()
    reply = await encoder.run("encoder", "bench", fetch=True, timeout=TIMEOUT)
    await encoder.put("states", reply.outputs, timeout=TIMEOUT)
    return (time.perf_counter() - begin) * 1000 - reply.run_time_ms


async def compare(model: Model, platform: str, connection: Connection, pages: PageServer) -> float:
    """Measures all ways in turns; gives back the ratio, on the device to read back, pair by pair."""
    assert model.recipe is not None
    urls = {name: pages.publish_model(file.sha256, file.path) for name, file in model.files.items()}
    inputs = recording(model, platform)
    lanes = {}
    for name, on_device in (("on the device", True), ("read back", False)):
        lane = lanes[name] = await connection.open_lane(platform=platform, width=WIDTH)
        await lane.load_parts(model.name, urls, model.recipe, on_device=on_device, timeout=TIMEOUT)
        await lane.put("bench", inputs, timeout=TIMEOUT)
    encoder = await connection.open_lane(platform=platform, width=WIDTH)
    await encoder.load("encoder", urls["encoder"], {}, timeout=TIMEOUT)
    fed = {name: inputs[name] for name in ("input_values", "attention_mask")}
    await encoder.put("bench", fed, timeout=TIMEOUT)
    times: dict[str, list[float]] = {name: [] for name in (*lanes, "to the pool and back, alone")}
    warm, counted = ROUNDS[platform]
    for count in range(warm + counted):
        found = {
            name: (await lane.run(model.name, "bench", fetch=False, timeout=TIMEOUT)).run_time_ms
            for name, lane in lanes.items()
        }
        found["to the pool and back, alone"] = await round_trip_ms(encoder, fed)
        if count >= warm:
            for name, value in found.items():
                times[name].append(value)
    for lane in (*lanes.values(), encoder):
        await connection.close_lane(lane.lane_id)
    stays, read, crossing = times.values()
    ratio = statistics.median(one / other for one, other in zip(stays, read, strict=True))
    through = statistics.median(one / (one + more) for one, more in zip(stays, crossing, strict=True))
    show(
        f"{model.name}, {SECONDS[platform]} s, {inputs['max_tokens'][0]} tokens, {platform} ({encoder.adapter})",
        list(times.items()),
        ratio=f"on the device / read back: {ratio:.3f} pair by pair; / through the pool: {through:.3f}",
    )
    return ratio


async def bench() -> dict[str, float]:
    """By platform, the time with the encoder's output kept on the device to that with it read back."""
    model = ModelCatalog(models_folder=None, cache_folder=cache_folder()).resolve("moonshine-tiny")
    async with opened(CHROMIUM) as browser:
        return {platform: await compare(model, platform, browser.connection, browser.pages) for platform in ROUNDS}
