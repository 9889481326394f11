"""A proxy that refuses everything: browsers are told to use it for whatever is not the pool's own origin.

What a page's policy lets through, or does not cover, ends here, and is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import structlog

_log = structlog.get_logger(__name__)

_READ_SECONDS = 5.0
_LONGEST_LINE = 2048
_REMEMBERED = 20
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class DenyProxy:
    """Listens on a free loopback port.

    Attributes:
        blocked_count: Requests refused since the start.
        blocked: What the newest of them asked for, newest last.
    """

    def __init__(self) -> None:
        self.blocked_count = 0
        self.blocked: deque[str] = deque(maxlen=_REMEMBERED)
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Binds and listens."""
        self._server = await asyncio.start_server(self._refuse, "127.0.0.1", 0, limit=_LONGEST_LINE)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                line = await reader.readline()
                self._note(line)
                writer.write(_REFUSAL)
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            self._note(b"")
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _note(self, line: bytes) -> None:
        words = line.decode("ascii", "replace").split()
        asked = " ".join(words[:2]) or "something that is no request"
        self.blocked_count += 1
        self.blocked.append(asked[:200])
        _log.debug("refused", asked=asked[:200])  # browsers call their makers all the time
