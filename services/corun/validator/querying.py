"""Queries of users: each on a copy of the record, in a process of its own that is killed when it oversteps."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corun.errors import CorunError, DatabaseFailed, InvalidField, QueryLimit
from corun.validator.snapshots import Snapshots

_CHUNK_BYTES = 1_000_000
_SAID_BYTES = 20_000
# What the process may need beside its query: Python, DuckDB and Arrow are loaded first, on a busy machine slowly.
_START_SECONDS = 30.0
_TURN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What one query may take and give.

    Attributes:
        seconds: Time of the query itself.
        memory_bytes: Address space that its process may take up for it.
        result_bytes: Size of the Arrow IPC stream.
        concurrency: Queries at once; others wait ten seconds for their turn.
    """

    seconds: float = 20
    memory_bytes: int = 600_000_000
    result_bytes: int = 64_000_000
    concurrency: int = 2


@dataclass(frozen=True, slots=True)
class QuerySummary:
    """How large an answer was and how long it took, in the process."""

    row_count: int
    size_bytes: int
    query_time_ms: float


class Queries:
    """Answers SELECT statements from copies of the record."""

    def __init__(self, snapshots: Snapshots, limits: QueryLimits, *, path: Path) -> None:
        self._snapshots = snapshots
        self._limits = limits
        self._path = path
        self._turns = asyncio.Semaphore(limits.concurrency)

    async def answer(self, sql: str, *, max_rows: int) -> AsyncGenerator[bytes | QuerySummary, None]:
        """The bytes of an Arrow IPC stream, and at the end their summary.

        Raises:
            InvalidField: when it is not exactly one SELECT, has a mistake or reaches for what it may not have.
            QueryLimit: when it takes or gives more than it may, or too many queries run.
            DatabaseFailed: when no copy of the record can be made or read.
        """
        async with self._turn(), self._snapshots.newest() as copy:
            given = {
                "path": str(copy),
                "sql": sql,
                "max_rows": max_rows,
                "seconds": self._limits.seconds,
                "memory_bytes": self._limits.memory_bytes,
                "result_bytes": self._limits.result_bytes,
            }
            async with _process() as process:
                try:
                    async with asyncio.timeout(_START_SECONDS + self._limits.seconds):
                        said = asyncio.create_task(_said(process))
                        await _tell(process, given)
                        assert process.stdout is not None
                        while chunk := await process.stdout.read(_CHUNK_BYTES):
                            yield chunk
                        yield self._concluded(await said, await process.wait())
                except TimeoutError:
                    raise self._over(f"the query took more than {self._limits.seconds:g} s") from None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise QueryLimit(
                f"{self._limits.concurrency} queries run already", "try again in a moment", retry_after_seconds=5
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    def _concluded(self, said: bytes, code: int) -> QuerySummary:
        try:
            ended: dict[str, Any] = json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            raise self._over(f"the query ended its process (exit code {code}), likely for want of memory") from None
        if "refused" not in ended:
            return QuerySummary(ended["row_count"], ended["size_bytes"], ended["query_time_ms"])
        raise self._refusal(ended["refused"], ended["message"])

    def _refusal(self, kind: str, message: str) -> CorunError:
        if kind == "limit":
            return self._over(message)
        if kind == "failed":
            return DatabaseFailed(str(self._path), message)
        return InvalidField("sql", message)

    def _over(self, limit: str) -> QueryLimit:
        return QueryLimit(limit, "ask for less: aggregate, add a WHERE or a LIMIT, or export the table")


@asynccontextmanager
async def _process() -> AsyncIterator[Process]:
    # No variable of ours is passed on but what Python needs to find its modules.
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "TZ") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corun.validator.query_process", stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())


async def _tell(process: Process, given: dict[str, Any]) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):  # it ended before it read everything, and says why
        process.stdin.write(json.dumps(given).encode())
        await process.stdin.drain()
        process.stdin.close()


async def _said(process: Process) -> bytes:
    assert process.stderr is not None
    said = b""
    while chunk := await process.stderr.read(_CHUNK_BYTES):
        said = (said + chunk)[-_SAID_BYTES:]
    return said
