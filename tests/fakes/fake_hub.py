"""A server that answers like the Hugging Face Hub, from folders in memory."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Repositories = Mapping[str, Mapping[str, bytes]]


class FakeHub:
    """Address of the server and the paths it was asked for."""

    def __init__(self, server: ThreadingHTTPServer, asked: list[str]) -> None:
        self.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        self.asked = asked


@contextmanager
def serve_hub(repositories: Repositories) -> Iterator[FakeHub]:
    """Serves `repositories`: files by path, by `organisation/name`."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            asked.append(path)
            status, headers, body = _response(path, repositories)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield FakeHub(server, asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _response(path: str, repositories: Repositories) -> tuple[int, dict[str, str], bytes]:
    if not path:
        return 200, {}, b"hub"
    parts = path.split("/")
    if parts[:2] == ["api", "models"] and (files := repositories.get("/".join(parts[2:4]))) is not None:
        siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
        name = "/".join(parts[2:4])
        told = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()
    files = repositories.get("/".join(parts[:2]))
    if files is not None and parts[2:3] == ["resolve"] and (content := files.get("/".join(parts[4:]))) is not None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return 200, {"ETag": etag, "X-Repo-Commit": COMMIT}, content
    return 404, {"X-Error-Code": "RepoNotFound"}, b""
