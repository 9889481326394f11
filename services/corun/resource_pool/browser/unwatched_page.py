"""A page of Chromium that Playwright does not look into.

Playwright listens to the network of every page in its contexts, workers included. Each message of a lane's socket
would then go through its driver a second time, in base64: at a tenth of the speed, and while megabytes of it are on
their way the driver answers nobody. What is in other contexts it leaves alone, so the pool's page gets one of those,
through the browser's own protocol (https://chromedevtools.github.io/devtools-protocol/tot/Target/).
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Browser, CDPSession

_LOADED = """() => new Promise((done) => {
  document.readyState === "complete" ? done() : addEventListener("load", () => done());
})"""


class PageFailed(Exception):
    """The page is gone, or a script in it failed; the message says how."""


class UnwatchedPage:
    """One page, in a context of its own that ends with the browser.

    Args:
        session: With the browser.
        session_id: With the page, inside of the other.
        gone: Called with the reason when the page is there no more.
        said: Called with what the page says on its console.
    """

    def __init__(
        self, session: CDPSession, session_id: str, *, gone: Callable[[str], None], said: Callable[[str], None]
    ) -> None:
        self._session = session
        self._session_id = session_id
        self._gone = gone
        self._said = said
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        session.on("Target.receivedMessageFromTarget", self._receive)
        session.on("Target.detachedFromTarget", self._note_detached)

    @classmethod
    async def open(
        cls, browser: Browser, url: str, *, gone: Callable[[str], None], said: Callable[[str], None]
    ) -> UnwatchedPage:
        """Opens a page and waits until it has loaded.

        Raises:
            PageFailed: it cannot be reached.
        """
        session = await browser.new_browser_cdp_session()
        context = await session.send("Target.createBrowserContext", {"disposeOnDetach": True})
        place = {"url": "about:blank", "browserContextId": context["browserContextId"]}
        target = await session.send("Target.createTarget", place)
        # Not "flatten": Playwright's sessions carry no messages for the sessions inside of them.
        attached = await session.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": False})
        page = cls(session, attached["sessionId"], gone=gone, said=said)
        browser.on("disconnected", lambda _browser: page.abandon("the browser ended"))
        await page.go_to(url)
        return page

    async def go_to(self, url: str) -> None:
        """Navigates, and waits until all of the page is there.

        Raises:
            PageFailed: it cannot be reached.
        """
        for domain in ("Inspector", "Runtime", "Page"):
            await self._send(f"{domain}.enable")
        problem = (await self._send("Page.navigate", url=url)).get("errorText")
        if problem:
            raise PageFailed(f"{url} cannot be reached: {problem}")
        await self.evaluate(_LOADED)

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any:
        """Calls a JavaScript function with an argument and gives back what it returns, or its promise resolves to.

        Raises:
            PageFailed: it threw, or the page is gone.
        """
        call = f"({expression})({json.dumps(arg)})"
        answer = await self._send("Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageFailed(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def abandon(self, cause: str) -> None:
        """Fails whatever waits for an answer."""
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(PageFailed(cause))
                reply.exception()  # retrieved: whoever asked may have left

    async def _send(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method, "params": parameters})
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            await self._session.send("Target.sendMessageToTarget", {"sessionId": self._session_id, "message": message})
            return await reply
        finally:
            del self._waiting[number]

    def _receive(self, event: dict[str, Any]) -> None:
        if event["sessionId"] != self._session_id:
            return
        message = json.loads(event["message"])
        if "id" in message:
            self._answer(message)
        elif message["method"] == "Inspector.targetCrashed":
            self._end("the page crashed")
        elif message["method"] == "Runtime.consoleAPICalled":
            self._said(" ".join(map(_in_words, message["params"]["args"])))

    def _answer(self, message: dict[str, Any]) -> None:
        reply = self._waiting.get(message["id"])
        if reply is None or reply.done():
            return
        if "error" in message:
            reply.set_exception(PageFailed(message["error"]["message"]))
        else:
            reply.set_result(message["result"])

    def _note_detached(self, event: dict[str, Any]) -> None:
        if event["sessionId"] == self._session_id:
            self._end("the page was closed")

    def _end(self, cause: str) -> None:
        self.abandon(cause)
        self._gone(cause)


def _in_words(said: dict[str, Any]) -> str:
    return str(said.get("value", said.get("description", said["type"])))
