"""The pool's page in a browser: opening it, and asking it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from playwright.async_api import Browser

from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.unwatched_page import UnwatchedPage

# Playwright emulates these by a command that Firefox does not have; "null" leaves them alone.
_FIREFOX_CONTEXT = {"color_scheme": "null", "reduced_motion": "null", "forced_colors": "null", "contrast": "null"}


class Page(Protocol):
    """A page that can be asked."""

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any:
        """Calls a JavaScript function with an argument and gives back what it returns, or its promise resolves to."""
        ...


async def open_page(
    browser: Browser, engine: Engine, url: str, *, gone: Callable[[str], None], said: Callable[[str], None]
) -> Page:
    """Opens the page and waits until all of it has loaded. Raises what Playwright raises, and PageFailed.

    Args:
        browser: Where.
        engine: What kind of browser that is.
        url: Of the page.
        gone: Called with the reason when the page is there no more.
        said: Called with what it says on its console.
    """
    if engine.family == "firefox":
        return await _open_watched(browser, url, gone=gone, said=said)
    return await UnwatchedPage.open(browser, url, gone=gone, said=said)


async def _open_watched(
    browser: Browser, url: str, *, gone: Callable[[str], None], said: Callable[[str], None]
) -> Page:
    context = await browser.new_context(no_viewport=True, **_FIREFOX_CONTEXT)  # type: ignore[arg-type]  # "null" is undocumented
    page = await context.new_page()
    page.on("crash", lambda _page: gone("the page crashed"))
    page.on("console", lambda message: said(message.text))
    await page.goto(url)
    return page
