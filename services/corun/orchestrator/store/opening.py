"""Opens the orchestrator's file; one that is damaged is set aside."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from corun.orchestrator.store.configurations import ConfigurationLog
from corun.orchestrator.store.executions import ExecutionLog
from corun.orchestrator.store.outbox import Outbox
from corun.orchestrator.store.schema import SCHEMA
from corun.orchestrator.store.transactions import Transactions

_log = structlog.get_logger(__name__)

FILE_NAME = "executions.sqlite3"


@dataclass(frozen=True, slots=True)
class Store:
    """Executions, what the validator is to be told of them, and what bounds the choice of strategies."""

    executions: ExecutionLog
    outbox: Outbox
    configurations: ConfigurationLog


@asynccontextmanager
async def open_store(folder: Path) -> AsyncIterator[Store]:
    """The store of a folder, which is made; let go of in the end.

    Raises:
        DatabaseLocked: another orchestrator holds it.
        OSError: the folder cannot be made or written.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    transactions = await _opened(folder / FILE_NAME)
    try:
        yield Store(ExecutionLog(transactions), Outbox(transactions), ConfigurationLog(transactions))
    finally:
        await asyncio.shield(transactions.close())


async def _opened(path: Path) -> Transactions:
    try:
        return await _open(path)
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        aside = await asyncio.to_thread(_set_aside, path)
        _log.error("a damaged file of executions is set aside", path=str(path), kept=str(aside), cause=str(error))
        return await _open(path)


async def _open(path: Path) -> Transactions:
    transactions = Transactions(path, SCHEMA)
    await transactions.open()
    return transactions


def _set_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in range(1, 10_000))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
