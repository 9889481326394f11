"""Serves the page, the runtime and the models to the pool's own browsers, and accepts their lanes' sockets.

Everything lies under a secret path, so that other users of the machine cannot read models or pose as a lane.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from aiohttp import web

from corun.resource_pool.browser.lane import Lane

_log = structlog.get_logger(__name__)

PAGE_FOLDER = Path(__file__).resolve().parent.parent / "page" / "dist"

# Threads and precise clocks need a cross-origin isolated page; nothing but this origin may be reached.
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# The runtime makes its bindings to WebNN with `eval`; a worker goes by the policy that its script came with.
_EVALUATING_SCRIPT = "/lane-webnn.js"

_LONGEST_REPORT = 16_384
_REMEMBERED = 20


class PageServer:
    """An HTTP server on a free loopback port. Models are addressed by the SHA-256 of their content.

    Attributes:
        blocked_count: Requests of pages that their policy blocked, since the start.
        blocked: What the newest of them asked for, newest last.
    """

    def __init__(self) -> None:
        self.blocked_count = 0
        self.blocked: deque[str] = deque(maxlen=_REMEMBERED)
        self._secret = secrets.token_urlsafe(16)
        self._models: dict[str, Path] = {}
        self._lanes: dict[str, Lane] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Binds and serves.

        Raises:
            FileNotFoundError: the page was not built.
        """
        if not (PAGE_FOLDER / "index.html").is_file():
            raise FileNotFoundError(f"the browser page is not built: {PAGE_FOLDER} is missing; reinstall corun")
        app = web.Application(middlewares=[self._admit], client_max_size=_LONGEST_REPORT)
        app.on_response_prepare.append(self._add_headers)
        root = f"/{self._secret}"
        app.router.add_get(f"{root}/index.html", self._index)
        app.router.add_get(f"{root}/models/{{sha256}}.onnx", self._model)
        app.router.add_get(f"{root}/lanes/{{lane_id}}", self._accept_lane)
        app.router.add_post(f"{root}/blocked", self._note_blocked)
        app.router.add_static(f"{root}/assets", PAGE_FOLDER)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stops serving. Idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def page_url(self) -> str:
        """Where a browser finds the page."""
        return f"{self.origin}/{self._secret}/index.html"

    def publish_model(self, sha256: str, path: Path) -> str:
        """Makes a model file readable to lanes; gives back its URL."""
        self._models[sha256] = path
        return f"{self.origin}/{self._secret}/models/{sha256}.onnx"

    def expect_lane(self, lane: Lane) -> None:
        """Lets the worker of this lane connect."""
        self._lanes[lane.lane_id] = lane

    def forget_lane(self, lane_id: str) -> None:
        """Lets no worker connect as this lane any more."""
        self._lanes.pop(lane_id, None)

    @web.middleware
    async def _admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Only our own pages, asked for by our own name: a name that was bound to this address is somebody else's."""
        if request.host != f"127.0.0.1:{self.port}" or request.headers.get("Origin", self.origin) != self.origin:
            raise web.HTTPForbidden
        return await handler(request)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        sockets = self.origin.replace("http", "ws", 1)
        evaluation = " 'unsafe-eval'" if request.path.endswith(_EVALUATING_SCRIPT) else ""
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{evaluation}; worker-src 'self' blob:; "
            f"img-src data:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
            f"report-uri /{self._secret}/blocked"
        )

    async def _note_blocked(self, request: web.Request) -> web.StreamResponse:
        """Takes a report of what a page's policy blocked."""
        try:
            report = json.loads(await request.text())["csp-report"]
            asked = f"{report.get('blocked-uri', '')} ({report.get('effective-directive', '')})"
        except (ValueError, KeyError, TypeError, AttributeError):
            asked = "something (its report is unreadable)"
        self.blocked_count += 1
        self.blocked.append(asked[:200])
        _log.warning("a page's policy blocked a request", asked=asked[:200])
        return web.Response(status=204)

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE_FOLDER / "index.html")

    async def _model(self, request: web.Request) -> web.StreamResponse:
        path = self._models.get(request.match_info["sha256"])
        if path is None:
            raise web.HTTPNotFound
        # Each lane reads a file once; a copy in the browser's cache would only cost memory.
        return web.FileResponse(path, headers={"Cache-Control": "no-store"})

    async def _accept_lane(self, request: web.Request) -> web.StreamResponse:
        lane = self._lanes.get(request.match_info["lane_id"])
        if lane is None:
            raise web.HTTPNotFound
        # Sending must never wait: a lane's requests are bounded by their answers.
        socket = web.WebSocketResponse(compress=False, max_msg_size=0, writer_limit=sys.maxsize)
        await socket.prepare(request)
        await lane.attach(socket)
        return socket
