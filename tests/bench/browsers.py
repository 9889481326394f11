"""Browsers for benchmarks: started as the pool starts them, without a pool around them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from playwright.async_api import Browser, Playwright, async_playwright
from playwright.async_api import Page as PlaywrightPage

from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.page import Page, open_page
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.sandbox import is_sandboxed
from corun.resource_pool.browser.starter import Starter

# Playwright emulates these by a command that Firefox does not have; "null" leaves them alone.
_FIREFOX_CONTEXT = {"color_scheme": "null", "reduced_motion": "null", "forced_colors": "null", "contrast": "null"}


BY_HAND = "by-hand"


class BenchPages(PageServer):
    """Lets the pages that are written by hand evaluate: the runtime wants that for WebNN.

    Attributes:
        fetched_count: How often a model's file was fetched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fetched_count = 0

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        await super()._add_headers(request, response)
        self.fetched_count += "/models/" in request.path
        if request.query_string == BY_HAND:
            policy = response.headers["Content-Security-Policy"]
            response.headers["Content-Security-Policy"] = policy.replace("script-src", "script-src 'unsafe-eval'")


@dataclass(frozen=True, slots=True)
class Bench:
    """A connection as it is in a pool, the server of its page, and what starts more of them."""

    connection: Connection
    pages: BenchPages
    driver: Driver

    async def page(self) -> Page:
        """Another page of the pool's origin in the same browser, opened like the pool's own."""
        return await open_page(
            self.connection.browser,
            self.connection.engine,
            f"{self.pages.page_url}?{BY_HAND}",
            gone=lambda _cause: None,
            said=lambda _words: None,
        )


@asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[Bench]:
    """A browser of this kind, closed when the context is left."""
    async with AsyncExitStack() as stack:
        driver, pages, deny_proxy = Driver(), BenchPages(), DenyProxy()
        stack.push_async_callback(driver.close)
        stack.push_async_callback(pages.close)
        await pages.start()
        stack.push_async_callback(deny_proxy.close)
        await deny_proxy.start()
        starter = Starter(driver=driver, pages=pages, deny_proxy=deny_proxy, pool_id=secrets.token_hex(6))
        connection = starter.connection(engine)
        stack.push_async_callback(connection.close)
        await starter.open(connection)
        yield Bench(connection, pages, driver)


async def launch_plainly(playwright: Playwright, engine: Engine) -> Browser:
    """The same browser as anybody would start it with Playwright."""
    executable = engine.find()
    assert executable is not None
    if engine.family == "firefox":
        return await playwright.firefox.launch(channel="moz-firefox", executable_path=executable)
    sandboxed = is_sandboxed(engine)
    return await playwright.chromium.launch(executable_path=executable, chromium_sandbox=sandboxed)


async def open_plainly(browser: Browser, engine: Engine) -> PlaywrightPage:
    """A page as anybody would open it with Playwright."""
    if engine.family == "firefox":
        context = await browser.new_context(no_viewport=True, **_FIREFOX_CONTEXT)  # type: ignore[arg-type]  # "null" is undocumented
        return await context.new_page()
    return await browser.new_page()


@asynccontextmanager
async def plain_page(engine: Engine) -> AsyncIterator[PlaywrightPage]:
    """Such a page in such a browser, with a driver of its own."""
    async with async_playwright() as playwright:
        browser = await launch_plainly(playwright, engine)
        yield await open_plainly(browser, engine)
        await browser.close()
