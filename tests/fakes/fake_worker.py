"""The browser's end of a lane without a browser: a real socket whose answers a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from corun.resource_pool.browser.frames import Frame, FrameReader, encode
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.page_server import PageServer

HELLO = {"id": 0, "name": "fake adapter", "software": True, "isolated": True}


@dataclass(frozen=True, slots=True)
class FakeWorker:
    """Reads requests and answers them when it is told to."""

    socket: aiohttp.ClientWebSocketResponse

    async def request(self) -> Frame:
        """The next request."""
        reader = FrameReader()
        while True:
            frame = reader.feed(await self.socket.receive_bytes(timeout=5))
            if frame is not None:
                return frame

    async def say(self, header: dict[str, Any]) -> None:
        """Sends a frame without tensors."""
        for message in encode(header):
            await self.socket.send_bytes(bytes(message))

    async def answer(self, request: Frame, **header: object) -> None:
        """Answers a request."""
        await self.say({"id": request.header["id"], **header})


@asynccontextmanager
async def working_lane() -> AsyncIterator[tuple[Lane, FakeWorker]]:
    """A lane that is up, and its worker."""
    pages = PageServer()
    await pages.start()
    lane = Lane(lane_id="fake-1", platform="wasm", width=1)
    pages.expect_lane(lane)
    address = pages.page_url.replace("index.html", f"lanes/{lane.lane_id}")
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            worker = FakeWorker(socket)
            await worker.say(HELLO)
            await lane.ready(timeout=5)
            yield lane, worker
    finally:
        await pages.close()
