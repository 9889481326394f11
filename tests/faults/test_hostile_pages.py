"""Whatever runs in a lane's page reaches the pool's own origin and nothing else; every attempt is counted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import CHROMIUM, CHROMIUM_SHELL, FIREFOX, Engine
from corun.resource_pool.browser.page import Page
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.starter import Starter

ATTEMPT_SECONDS = 5.0

# What a hostile page might try against another server of this machine; each settles by itself.
ATTEMPTS = {
    "fetch": "victim => fetch(`http://${victim}/`, {mode: 'no-cors'})",
    "XMLHttpRequest": """victim => new Promise(done => {
        const request = new XMLHttpRequest();
        request.onloadend = done;
        request.open('GET', `http://${victim}/`);
        request.send();
    })""",
    "WebSocket": "victim => new Promise(done => { new WebSocket(`ws://${victim}/`).onclose = done; })",
    "EventSource": "victim => new Promise(done => { new EventSource(`http://${victim}/`).onerror = done; })",
    "sendBeacon": "victim => navigator.sendBeacon(`http://${victim}/`, 'stolen')",
    "image": """victim => new Promise(done => {
        const image = new Image();
        image.onload = image.onerror = done;
        image.src = `http://${victim}/`;
    })""",
    "script": """victim => new Promise(done => {
        const script = document.createElement('script');
        script.onload = script.onerror = done;
        script.src = `http://${victim}/`;
        document.head.append(script);
    })""",
    "frame": """victim => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.src = `http://${victim}/`;
        document.documentElement.append(frame);
        setTimeout(done, 500);
    })""",
    "form": """victim => new Promise(done => {
        const form = document.createElement('form');
        form.action = `http://${victim}/`;
        form.method = 'POST';
        document.documentElement.append(form);
        form.submit();
        setTimeout(done, 500);
    })""",
    "import": "victim => import(`http://${victim}/module.js`).catch(() => {})",
    "worker": """victim => new Promise(done => {
        const source = `fetch('http://${victim}/', {mode: 'no-cors'}).finally(() => postMessage(0)).catch(() => {})`;
        const worker = new Worker(URL.createObjectURL(new Blob([source])));
        worker.onmessage = worker.onerror = done;
    })""",
    "window": "victim => { window.open(`http://${victim}/`); }",
    "navigation": "victim => { location.href = `http://${victim}/`; }",
}
FILE_ATTEMPTS = {
    "fetch of a file": "path => fetch(path)",
    "frame with a file": """path => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.src = path;
        document.documentElement.append(frame);
        setTimeout(() => {
            let text = '';
            try { text = frame.contentDocument.body.innerText; } catch {}
            done(text);
        }, 500);
    })""",
}


@dataclass(slots=True)
class Victim:
    """A server on loopback that wants no visitors. `hits` are what it was sent."""

    address: str = ""
    hits: list[bytes] = field(default_factory=list)

    async def note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody got through."""
        self.hits.append(await reader.read(200))
        writer.close()


@asynccontextmanager
async def victim() -> AsyncIterator[Victim]:
    """A listening victim."""
    found = Victim()
    server = await asyncio.start_server(found.note, "127.0.0.1", 0)
    found.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class Cage:
    """A browser of the pool, its page, and those who count."""

    page: Page
    pages: PageServer
    deny_proxy: DenyProxy

    @property
    def blocked_count(self) -> int:
        """Attempts counted so far."""
        return self.pages.blocked_count + self.deny_proxy.blocked_count

    async def attempt(self, script: str, argument: str) -> object:
        """Runs a hostile script; that it fails in the page is as good as that it ends."""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await self.page.evaluate(script, argument)
        except Exception as error:  # Playwright raises bare exceptions
            return error


@asynccontextmanager
async def cage(engine: Engine) -> AsyncIterator[Cage]:
    """A browser as the pool starts it."""
    driver, pages, deny_proxy = Driver(), PageServer(), DenyProxy()
    await pages.start()
    await deny_proxy.start()
    starter = Starter(driver=driver, pages=pages, deny_proxy=deny_proxy, pool_id=uuid.uuid4().hex)
    connection: Connection = starter.connection(engine)
    try:
        await starter.open(connection)
        yield Cage(connection.page, pages, deny_proxy)
    finally:
        await connection.close()
        await driver.close()
        await deny_proxy.close()
        await pages.close()


@pytest.mark.parametrize("engine", [CHROMIUM, CHROMIUM_SHELL, FIREFOX], ids=lambda engine: engine.name)
async def test_a_page_reaches_no_other_server_of_this_machine_and_every_attempt_is_counted(engine: Engine) -> None:
    async with victim() as other, cage(engine) as caged:
        uncounted = []
        for name, script in ATTEMPTS.items():
            before = caged.blocked_count
            await caged.attempt(script, other.address)
            for _ in range(20):  # reports come a little later
                if caged.blocked_count > before:
                    break
                await asyncio.sleep(0.1)
            else:
                uncounted.append(name)
        assert other.hits == []
        assert uncounted == []


@pytest.mark.parametrize("engine", [CHROMIUM, CHROMIUM_SHELL, FIREFOX], ids=lambda engine: engine.name)
async def test_a_page_cannot_read_files_of_this_machine(engine: Engine) -> None:
    async with cage(engine) as caged:
        for script in FILE_ATTEMPTS.values():
            found = await caged.attempt(script, "file:///etc/passwd")
            assert "root:" not in str(found)


@pytest.mark.parametrize("engine", [CHROMIUM, CHROMIUM_SHELL, FIREFOX], ids=lambda engine: engine.name)
async def test_a_page_sends_no_datagrams(engine: Engine) -> None:
    received: list[bytes] = []

    class Listener(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: object) -> None:
            received.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Listener, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    script = """port => new Promise(done => {
        const peer = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${port}`}]});
        peer.createDataChannel('x');
        peer.createOffer().then(offer => peer.setLocalDescription(offer));
        setTimeout(done, 2000);
    })"""
    async with cage(engine) as caged:
        await caged.attempt(script, str(port))
    transport.close()
    assert received == []


async def test_strangers_cannot_read_what_is_served_to_the_pages() -> None:
    pages = PageServer()
    await pages.start()
    try:
        async with aiohttp.ClientSession() as session:
            own = await session.get(pages.page_url)
            guessed = await session.get(f"{pages.origin}/index.html")
            rebound = await session.get(pages.page_url, headers={"Host": "evil.example"})
            foreign = await session.get(pages.page_url, headers={"Origin": "http://evil.example"})
            large = await session.post(pages.page_url.replace("index.html", "blocked"), data=b"x" * 100_000)
        assert (own.status, guessed.status, rebound.status, foreign.status) == (200, 404, 403, 403)
        assert large.status == 413
        assert pages.blocked_count == 0
    finally:
        await pages.close()
