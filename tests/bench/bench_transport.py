"""Tensors between Python and a lane, beside a bare WebSocket of the same server library in the same browser, and
beside Playwright's `page.evaluate` with base64. The ways take turns.

What goes through evaluate keeps Playwright's driver busy for seconds, so it has a browser and a driver of its own. At
60 MB it takes minutes and is given up after a while; the speed-up is a lower bound then. What goes one way is
answered: by an empty frame of the lane, by one byte of the bare socket. Rates count the bytes of the tensor in each
direction that it travels: an echo moves it twice.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from aiohttp import WSMsgType, web
from playwright.async_api import Page as PlaywrightPage

from corun.resource_pool.browser.engines import CHROMIUM, FIREFOX, Engine
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page import Page
from tests.bench.browsers import Bench, opened, plain_page
from tests.bench.report import show_rates

ENGINES = (CHROMIUM, FIREFOX)
TIMEOUT_SECONDS = 120
EVALUATE_SECONDS = 15
TARGET = 0.8

# A worker with nothing but a socket. A text message asks for so many bytes; what begins with a zero is answered by
# one byte; anything else comes back.
RAW_WORKER = """
url => new Promise((resolve, reject) => {
  const code = `
    const socket = new WebSocket("${url}");
    socket.binaryType = 'arraybuffer';
    let held;
    socket.onopen = () => postMessage('open');
    socket.onerror = () => postMessage('error');
    socket.onmessage = ({data}) => {
      if (typeof data === 'string') {
        if (held?.byteLength !== Number(data)) held = new Uint8Array(Number(data)).fill(1);
        socket.send(held);
      } else socket.send(new Uint8Array(data, 0, 1)[0] === 0 ? new Uint8Array(1) : data);
    };`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})));
  worker.onmessage = ({data}) => data === 'open' ? resolve() : reject(new Error('the socket did not open'));
  globalThis.rawWorker = worker;
})
"""
THROUGH_EVALUATE = """
text => {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  let back = '';
  for (let i = 0; i < bytes.length; i += 32768) back += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(back);
}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """A tensor of so many bytes, and how often it goes each way; `evaluate` is slow and goes less often."""

    name: str
    byte_count: int
    rounds: int
    evaluate_rounds: int


SIZES = (
    Size("1 kB", 1_000, 400, 100),
    Size("600 kB", 600_000, 80, 20),
    Size("6 MB", 6_000_000, 30, 5),
    Size("60 MB", 60_000_000, 8, 1),
)


class RawSocket(Lane):
    """Stands in for a lane where the server accepts sockets, and reads its own with nothing in between."""

    def __init__(self) -> None:
        super().__init__(lane_id="raw", platform="raw", width=1)
        self.socket: web.WebSocketResponse | None = None
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()

    async def attach(self, socket: web.WebSocketResponse) -> None:
        """Hands every message to whoever waits."""
        self.socket = socket
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.replies.put_nowait(message.data)

    async def exchange(self, message: bytes | str) -> bytes:
        """Sends a message and waits for the answer."""
        assert self.socket is not None
        if isinstance(message, str):
            await self.socket.send_str(message)
        else:
            await self.socket.send_bytes(message)
        return await self.replies.get()


@dataclass(slots=True)
class Way:
    """A way to move a tensor: what carries it out, the times in seconds, and the bytes that move each time."""

    name: str
    move: Callable[[], Awaitable[object]]
    byte_count: int
    times: list[float] = field(default_factory=list)

    async def once(self, *, counted: bool) -> None:
        """Goes once."""
        begin = time.perf_counter()
        await self.move()
        if counted:
            self.times.append(time.perf_counter() - begin)

    @property
    def median_rate(self) -> float:
        """Megabytes a second."""
        return self.byte_count / statistics.median(self.times) / 1e6


async def in_turns(ways: list[Way], *, rounds: int) -> None:
    """All of them in every round, the first one first in every other round; a tenth of the rounds warms up."""
    warm = rounds // 10
    for number in range(warm + rounds):
        for way in ways if number % 2 else reversed(ways):
            await way.once(counted=number >= warm)


class Transport:
    """The three ways in one browser."""

    def __init__(self, lane: Lane, raw: RawSocket, page: PlaywrightPage) -> None:
        self._lane = lane
        self._raw = raw
        self._page = page

    async def measure(self, size: Size, engine: str) -> dict[str, float]:
        """The ratio of a lane's rate to the bare socket's in each direction, and the speed-up against evaluate."""
        values = np.random.default_rng(0).random(size.byte_count // 4, dtype=np.float32)
        await self._verify(values)
        content = values.tobytes()
        one_way = b"\0" + content[1:]
        twice, once = 2 * size.byte_count, size.byte_count
        await self._lane.free("held", timeout=TIMEOUT_SECONDS)
        await self._lane.share("held", values, timeout=TIMEOUT_SECONDS)
        pairs = {
            "echo": (
                Way("lane, echo", lambda: self._lane.echo({"x": values}, timeout=TIMEOUT_SECONDS), twice),
                Way("bare socket, echo", lambda: self._raw.exchange(content), twice),
            ),
            "to_page": (
                Way("lane, to the page", lambda: self._lane.put("x", {"x": values}, timeout=TIMEOUT_SECONDS), once),
                Way("bare socket, to the page", lambda: self._raw.exchange(one_way), once),
            ),
            "from_page": (
                Way("lane, from the page", lambda: self._lane.read("held", timeout=TIMEOUT_SECONDS), once),
                Way("bare socket, from the page", lambda: self._raw.exchange(str(size.byte_count)), once),
            ),
        }
        evaluate = Way("page.evaluate with base64", lambda: self._through_evaluate(content), twice)
        for pair in pairs.values():
            await in_turns(list(pair), rounds=size.rounds)
        echo = pairs["echo"][0]
        await in_turns([evaluate, Way(echo.name, echo.move, twice)], rounds=size.evaluate_rounds)
        ratios = {name: lane.median_rate / bare.median_rate for name, (lane, bare) in pairs.items()}
        speed_up = echo.median_rate / evaluate.median_rate
        at_least = "at least " if max(evaluate.times) > EVALUATE_SECONDS else ""
        show_rates(
            f"{size.name} in {engine}",
            [(way.name, way.byte_count, way.times) for way in [*sum(pairs.values(), ()), evaluate]],
            ratio=f"lane / bare socket: echo {ratios['echo']:.2f} (target: at least {TARGET}), "
            f"to the page {ratios['to_page']:.2f}, from the page {ratios['from_page']:.2f}; "
            f"lane / evaluate: {at_least}{speed_up:.1f} ({size.evaluate_rounds} rounds of evaluate)",
        )
        return {**ratios, "speed_up": speed_up}

    async def _verify(self, values: Array) -> None:
        """Every way gives back what it was given."""
        content = values.tobytes()
        echoed = (await self._lane.echo({"x": values}, timeout=TIMEOUT_SECONDS))["x"]
        assert np.array_equal(echoed, values)
        assert await self._raw.exchange(content) == content
        assert await self._through_evaluate(content[:1000]) == content[:1000]

    async def _through_evaluate(self, content: bytes) -> bytes:
        try:
            async with asyncio.timeout(EVALUATE_SECONDS):
                text: str = await self._page.evaluate(THROUGH_EVALUATE, base64.b64encode(content).decode())
        except TimeoutError:
            return b""
        return base64.b64decode(text)


async def open_raw(bench: Bench, page: Page) -> RawSocket:
    """A bare socket between a worker of this page and the very server that lanes talk to."""
    raw = RawSocket()
    bench.pages.expect_lane(raw)
    url = bench.pages.page_url.replace("http", "ws", 1).replace("index.html", f"lanes/{raw.lane_id}")
    await page.evaluate(RAW_WORKER, url)
    return raw


async def measure(engine: Engine, sizes: Sequence[Size]) -> dict[str, float]:
    """Figures of these sizes in one browser."""
    figures: dict[str, float] = {}
    async with opened(engine) as bench, plain_page(engine) as page:
        raw = await open_raw(bench, await bench.page())
        lane = await bench.connection.open_lane(platform="wasm", width=1)
        transport = Transport(lane, raw, page)
        for size in sizes:
            ratios = await transport.measure(size, engine.name)
            figures |= {f"{engine.name} {size.name} {name}": ratio for name, ratio in ratios.items()}
    return figures


async def bench(engines: Sequence[Engine] = ENGINES, sizes: Sequence[Size] = SIZES) -> dict[str, float]:
    """Ratios of the rates, by engine, size and direction."""
    figures: dict[str, float] = {}
    for engine in engines:
        figures |= await measure(engine, sizes)
    return figures


def main() -> None:
    """Measures what the command line asks for."""
    engines = {engine.name: engine for engine in ENGINES}
    sizes = {size.name: size for size in SIZES}
    parser = argparse.ArgumentParser(description="Measures how fast tensors move.")
    parser.add_argument("--engine", choices=engines, nargs="+", default=list(engines), help="all by default")
    parser.add_argument("--size", choices=sizes, nargs="+", default=list(sizes), help="of the tensor; all by default")
    given = parser.parse_args()
    asyncio.run(bench([engines[name] for name in given.engine], [sizes[name] for name in given.size]))


if __name__ == "__main__":
    main()
